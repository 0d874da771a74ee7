/* SPDX-License-Identifier: Apache-2.0 */
/* Makes indexes and prints them, for tests that compare them with what the kernel reads.
 *
 * index_tool torture DIR    write torture.erofs, 0.data and 1.data
 * index_tool layers DIR     write the layers and the merged image of a small container image, and
 *                           data files of their devices; print the keys, the image's last
 * index_tool samples DIR    write small indexes and unit tables: seeds for fuzzing
 * index_tool dump FILE      print one JSON object per name: what our reader says */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "index/image_index.h"
#include "support/layer_text.h"
#include "support/torture_draft.h"

static int report(const struct error *err)
{
	fprintf(stderr, "index_tool: %s\n", err->message);
	return 1;
}

/* Every block of the first 100 MiB says where it is; behind that some do. */
static int write_device(int dir_fd, unsigned number, uint64_t size, struct error *err)
{
	enum { ALL_OF_THEM = 25600, ONE_IN = 1021 };
	CLEANUP(cleanup_fd) int fd = -1;
	char name[32];

	(void)snprintf(name, sizeof(name), "%u.data", number);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return error_set_errno(err, errno, "create %s", name);
	for (uint64_t i = 0; i < size / 4096; i += i < ALL_OF_THEM ? 1 : ONE_IN) {
		char text[64];
		int n = snprintf(text, sizeof(text), "device %u block %" PRIu64 "\n", number, i);
		int ret = fd_pwrite_all(fd, text, (size_t)n, i * 4096);

		if (ret < 0)
			return error_set_errno(err, -ret, "write %s", name);
	}
	return 0;
}

static int write_torture(int dir_fd, struct error *err)
{
	struct erofs_device devices[TORTURE_DEVICES];
	CLEANUP(draft_freep) struct draft *draft = torture_draft_new(devices);
	struct erofs_write_options options = {
		.key = torture_key, .devices = devices, .n_devices = TORTURE_DEVICES};

	for (unsigned i = 0; i < TORTURE_DEVICES; i++) {
		if (write_device(dir_fd, i, devices[i].size, err) < 0)
			return -1;
	}
	return erofs_write(dir_fd, "torture.erofs", draft, &options, err);
}

static int write_small_index(int dir_fd, const char *name, unsigned n_files, struct error *err)
{
	CLEANUP(draft_freep) struct draft *draft = NULL;
	struct erofs_device devices[2] = {{.size = 1 << 20}, {.size = 4096}};
	struct erofs_write_options options = {
		.key = torture_key, .devices = devices, .n_devices = 2};
	struct draft_inode *directory, *file;

	memset(devices[0].tag, 'a', 64);
	memset(devices[1].tag, 'b', 64);
	if (draft_new(&draft, err) < 0)
		return -1;
	directory = torture_add(draft, draft_root(draft), "directory", S_IFDIR | 0755);
	torture_add_symlink(draft, directory, "symlink", "../directory");
	torture_add(draft, directory, "null", S_IFCHR | 0666)->rdev_major = 1;
	torture_add(draft, directory, "whiteout", S_IFCHR | 0);
	torture_add_symlink(draft, directory, "link", "lower/file")->flags = EROFS_HARDLINK;
	torture_add_xattr(draft, directory, "trusted.overlay.opaque", "y", 1);
	for (unsigned i = 0; i < n_files; i++) {
		char file_name[64];

		(void)snprintf(file_name, sizeof(file_name), "file %u of several hundred", i);
		file = torture_add_file(draft, draft_root(draft), file_name, 0, 4096, 5000);
	}
	if (n_files > 0 && draft_link(draft, directory, "hard", 4, file, err) < 0)
		return -1;
	if (draft_finish(draft, err) < 0)
		return -1;
	return erofs_write(dir_fd, name, draft, &options, err);
}

static int write_small_table(int dir_fd, const char *name, unsigned n_units, struct error *err)
{
	struct unit_table_header header = {.blob = {.algorithm = DIGEST_SHA256},
		.blob_size = 1000,
		.data_size = n_units * UINT64_C(4096),
		.prefetch_size = 10};
	struct unit units[16] = {0};

	for (unsigned i = 0; i < n_units; i++)
		units[i] = (struct unit){.data_off = i * UINT64_C(4096),
			.size = 4096 - i,
			.blob_off = 900 - i / 2 * 100,
			.blob_size = 100,
			.inner_off = i % 2 * 4096,
			.codec = i % 3,
			.flags = i % 5 == 0 ? UNIT_ZEROS : 0};
	return unit_table_write(dir_fd, name, &header, units, n_units, err);
}

static int write_table_of_spans(int dir_fd, const char *name, struct error *err)
{
	struct unit_table_header header = {
		.blob = {.algorithm = DIGEST_SHA256}, .blob_size = 1000, .data_size = 8192};
	struct unit units[] = {
		{.size = 4096,
			.blob_off = 10,
			.blob_size = 200,
			.codec = CODEC_GZIP,
			.flags = UNIT_IN_SPAN},
		{.data_off = 4096,
			.size = 1000,
			.blob_off = 209,
			.blob_size = 300,
			.codec = CODEC_GZIP,
			.digest = {7}},
	};
	struct unit_span spans[] = {
		{.blob_off = 10,
			.blob_size = 200,
			.decoded_size = 5000,
			.digest_kind = SPAN_DIGEST_DECODED,
			.digest = {9},
			.codec = CODEC_GZIP,
			.end_bits = 5},
		{.blob_off = 209,
			.blob_size = 300,
			.decoded_size = 1000,
			.codec = CODEC_GZIP,
			.in_member = true,
			.bits = 3,
			.window = (const uint8_t *)"window",
			.window_size = 6},
	};

	return unit_table_write_spans(dir_fd, name, &header, units, 2, spans, 2, err);
}

static int write_samples(int dir_fd, struct error *err)
{
	if (write_small_index(dir_fd, "empty.erofs", 0, err) < 0 ||
		write_small_index(dir_fd, "files.erofs", 5, err) < 0 ||
		write_small_index(dir_fd, "two-blocks.erofs", 120, err) < 0)
		return -1;
	if (write_small_table(dir_fd, "empty.units", 0, err) < 0 ||
		write_table_of_spans(dir_fd, "spans.units", err) < 0)
		return -1;
	return write_small_table(dir_fd, "sixteen.units", 16, err);
}

/* Directories are described in every layer and hard links stay within one: what overlayfs, too,
 * can make of the layers. The third has no bytes at all. */
static const char *const small_image[] = {
	"d . mode=755\nd usr\nd usr/bin\nf usr/bin/tool 70000 mode=4755\nh usr/bin/alias "
	"usr/bin/tool\n"
	"d etc\nf etc/gone 10\nf etc/changed 4096\nd etc/conf.d\nf etc/conf.d/old 1\n"
	"d var\nd var/cache mode=700\nf var/cache/old 5\nd both\nf both/below 3\nl lib usr/lib\n"
	"f file-then-directory 9\nd directory-then-file\nf directory-then-file/x 1\n"
	"f capable 20 xattr=security.selinux:label xattr=user.x:y",
	"d . mode=755\nd etc mode=750 gid=7\nf etc/.wh.gone 0\nf etc/changed 8193\n"
	"f .wh.both 0\nd both\nf both/above 4\nd var\nd var/cache uid=33\n"
	"f var/cache/.wh..wh..opq 0\nf var/cache/new 6\nd file-then-directory\n"
	"f file-then-directory/y 2\nf directory-then-file 11\nf twin 12\nh usr-twin twin",
	"d . mode=755\nd usr\nd usr/empty mode=1777\nf usr/nothing 0\nf .wh.lib 0\np pipe\n"
	"c tty 5:1 mode=620",
};

enum { N_SMALL_LAYERS = sizeof(small_image) / sizeof(small_image[0]) };

static void print_key(const uint8_t key[INDEX_KEY_SIZE])
{
	char hex[INDEX_KEY_HEX];

	hex_encode(key, INDEX_KEY_SIZE, hex);
	printf("%s\n", hex);
}

static int write_layers(int dir_fd, struct error *err)
{
	const struct layer_index *layers[N_SMALL_LAYERS];
	uint8_t key[INDEX_KEY_SIZE];
	int ret = 0;

	for (unsigned i = 0; i < N_SMALL_LAYERS; i++) {
		struct layer_index *layer = layer_of_text(dir_fd, (uint8_t)(i + 1), small_image[i]);

		layers[i] = layer;
		print_key(layer->key);
		if (write_device(dir_fd, i, unit_table_header(layer->units)->data_size, err) < 0)
			ret = -1;
	}
	if (ret == 0)
		ret = image_index_key(layers, N_SMALL_LAYERS, key, err);
	if (ret == 0)
		ret = image_index_build(dir_fd, layers, N_SMALL_LAYERS, key, err);
	if (ret == 0)
		print_key(key);
	for (unsigned i = 0; i < N_SMALL_LAYERS; i++)
		layer_index_close((struct layer_index *)layers[i]);
	return ret;
}

/* Paths of directories still to be printed, and how far printing went. */
struct dump {
	const struct erofs_reader *reader;
	char **paths; /* owned */
	uint64_t *nids;
	size_t n;
	const char *here;
	struct error *err;
};

static void print_hex(const char *key, const void *data, size_t size)
{
	printf("\"%s\":\"", key);
	for (size_t i = 0; i < size; i++)
		printf("%02x", ((const uint8_t *)data)[i]);
	printf("\"");
}

static int print_xattr(void *arg, const char *name, const void *value, size_t value_size)
{
	bool *is_first = arg;

	if (!*is_first)
		printf(",");
	*is_first = false;
	print_hex(name, value, value_size);
	return 0;
}

static int print_inode(struct dump *dump, uint64_t nid, const char *path, uint32_t *ret_mode)
{
	struct erofs_extent extent = {.hole = true};
	struct erofs_attr attr;
	char target[4096] = {0};
	bool is_first = true;

	if (erofs_getattr(dump->reader, nid, &attr, dump->err) < 0)
		return -1;
	if (S_ISLNK(attr.mode) && erofs_readlink(dump->reader, nid, target, dump->err) < 0)
		return -1;
	if (S_ISREG(attr.mode) && erofs_extent(dump->reader, nid, &extent, dump->err) < 0)
		return -1;
	printf("{");
	print_hex("path", path, strlen(path));
	printf(",\"nid\":%" PRIu64 ",\"mode\":%" PRIu32 ",\"uid\":%" PRIu32 ",\"gid\":%" PRIu32
	       ",\"size\":%" PRIu64 ",\"mtime_s\":%" PRId64 ",\"mtime_ns\":%" PRIu32
	       ",\"nlink\":%" PRIu32 ",\"major\":%" PRIu32 ",\"minor\":%" PRIu32
	       ",\"flags\":%" PRIu32,
		attr.nid, attr.mode, attr.uid, attr.gid, attr.size, attr.mtime_s, attr.mtime_ns,
		attr.nlink, attr.rdev_major, attr.rdev_minor, attr.flags);
	printf(",\"device\":%d,\"data_off\":%" PRIu64 ",", extent.hole ? -1 : (int)extent.device,
		extent.data_off);
	print_hex("target", target, strlen(target));
	printf(",\"xattrs\":{");
	if (erofs_each_xattr(dump->reader, nid, print_xattr, &is_first, dump->err) < 0)
		return -1;
	printf("}}\n");
	*ret_mode = attr.mode;
	return 0;
}

static int print_entry(void *arg, const struct erofs_dirent *entry)
{
	struct dump *dump = arg;
	uint32_t mode;
	char *path;

	if (entry->name[0] == '.' &&
		(entry->name_size == 1 || (entry->name_size == 2 && entry->name[1] == '.')))
		return 0;
	if (asprintf(&path, "%s/%.*s", dump->here, (int)entry->name_size, entry->name) < 0)
		return -1;
	if (print_inode(dump, entry->nid, path, &mode) < 0 || !S_ISDIR(mode)) {
		free(path);
		return 0;
	}
	dump->nids[dump->n] = entry->nid;
	dump->paths[dump->n++] = path;
	return 0;
}

static int dump_index(const char *name, struct error *err)
{
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	struct dump dump = {.err = err};
	char tag[65];
	int ret = 0;

	if (erofs_open(AT_FDCWD, name, &reader, err) < 0)
		return -1;
	for (unsigned i = 0; i < erofs_n_devices(reader); i++)
		fprintf(stderr, "device %u: %s %" PRIu64 "\n", i, erofs_device_tag(reader, i, tag),
			erofs_device_size(reader, i));
	dump.reader = reader;
	dump.paths = calloc(erofs_n_inodes(reader) + 1, sizeof(*dump.paths));
	dump.nids = calloc(erofs_n_inodes(reader) + 1, sizeof(*dump.nids));
	if (!dump.paths || !dump.nids)
		return error_set(err, ERROR_NO_MEMORY, "no memory to print %s", name);
	dump.paths[dump.n] = strdup("");
	dump.nids[dump.n++] = erofs_root(reader);
	while (dump.n > 0 && ret == 0) {
		char *here = dump.paths[--dump.n];

		dump.here = here;
		ret = erofs_readdir(reader, dump.nids[dump.n], 0, print_entry, &dump, err);
		free(here);
	}
	free(dump.paths);
	free(dump.nids);
	return ret == 0 && err->kind != ERROR_NONE ? -1 : ret;
}

/* What the first argument can be, for a directory as the second. */
static const struct {
	const char *name;
	int (*run)(int dir_fd, struct error *err);
} verbs[] = {{"torture", write_torture}, {"layers", write_layers}, {"samples", write_samples}};

int main(int argc, char **argv)
{
	CLEANUP(cleanup_fd) int dir_fd = -1;
	struct error err = {0};

	if (argc == 3 && strcmp(argv[1], "dump") == 0)
		return dump_index(argv[2], &err) < 0 ? report(&err) : 0;
	for (size_t i = 0; argc == 3 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		dir_fd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir_fd < 0) {
			perror(argv[2]);
			return 1;
		}
		return verbs[i].run(dir_fd, &err) < 0 ? report(&err) : 0;
	}
	fprintf(stderr, "usage: index_tool torture|layers|samples DIR, or index_tool dump FILE\n");
	return 2;
}
