/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts as they come and go, and the mount of all trees. */
#include "support/fs_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "fs/erofs_mount.h"
#include "fs/node.h"

static void assert_reads_hello(const char *path)
{
	char text[16] = {0};
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(read(fd, text, sizeof(text)), 6);
	assert_string_equal(text, "hello\n");
	close(fd);
}

static void a_busy_mount_stays_until_its_last_user_is_gone(void **state)
{
	struct fs_fixture fixture;
	char text[6];
	bool busy;
	int fd;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	fd = open("mnt/dir/hello", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fs_session_unmount(fixture.session, false, &busy, NULL), 0);
	assert_true(busy);
	assert_reads_hello("mnt/dir/again");

	assert_int_equal(fs_session_unmount(fixture.session, true, &busy, NULL), 0);
	assert_true(busy);
	assert_int_equal(access("mnt/dir", F_OK), -1);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
	assert_false(fs_session_ended(fixture.session));
	close(fd);
	wait_until(fs_session_ended(fixture.session));
	fs_session_free(TAKE_PTR(fixture.session));
	fs_fixture_close(&fixture);
}

static void on_end(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void an_unmount_by_somebody_else_is_noticed(void **state)
{
	struct fs_fixture fixture;
	atomic_int n_ends = 0;
	struct error err;
	bool busy;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	fs_session_on_end(fixture.session, on_end, &n_ends);
	assert_int_equal(atomic_load(&n_ends), 0);
	if (mount_detach("mnt", false, &busy, &err) < 0)
		fail_msg("%s", err.message);
	assert_false(busy);
	wait_until(atomic_load(&n_ends) == 1);
	assert_true(fs_session_ended(fixture.session));
	fs_session_on_end(fixture.session, on_end, &n_ends);
	assert_int_equal(atomic_load(&n_ends), 2);
	assert_int_equal(fs_session_unmount(fixture.session, false, &busy, &err), 0);
	fs_session_free(TAKE_PTR(fixture.session));
	fs_fixture_close(&fixture);
}

static void what_is_mounted_over_it_is_left_alone(void **state)
{
	struct fs_fixture fixture;
	struct error err;
	bool busy;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	if (mount("none", "mnt", "tmpfs", 0, NULL) < 0) {
		print_message("skipped: mount tmpfs: %s\n", strerror(errno));
		fs_fixture_close(&fixture);
		skip();
	}
	assert_int_equal(fs_session_unmount(fixture.session, true, &busy, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_non_null(strstr(err.message, "mnt"));
	assert_int_equal(umount2("mnt", 0), 0);
	assert_reads_hello("mnt/dir/hello");
	fs_fixture_close(&fixture);
}

static void failures_of_starting_say_why(void **state)
{
	struct fs_session_options options = {.mountpoint = "nowhere", .tree_id = FIXTURE_TREE_ID};
	struct fs_session *session = NULL;
	struct fs_fixture fixture;
	struct error err;
	bool busy;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.no_mount = true});
	options.trees = fixture.trees;
	assert_int_equal(fs_session_start(&options, &session, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "nowhere"));
	options.tree_id = 99;
	assert_int_equal(fs_session_start(&options, &session, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_null(session);
	assert_int_equal(mount_detach("mnt", false, &busy, &err), -1);
	assert_non_null(strstr(err.message, "mnt"));
	fs_fixture_close(&fixture);
}

static unsigned n_names(const char *path)
{
	DIR *directory = opendir(path);
	unsigned n = 0;

	if (!directory)
		fail_msg("%s: %s", path, strerror(errno));
	while (readdir(directory))
		n++;
	closedir(directory);
	return n - 2;
}

static bool has_name(const char *path, const char *name)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	bool found = false;

	assert_non_null(directory);
	while (!found && (entry = readdir(directory)))
		found = strcmp(entry->d_name, name) == 0;
	closedir(directory);
	return found;
}

static void all_trees_are_found_by_id_and_by_digest(void **state)
{
	struct fs_fixture fixture;
	struct stat by_id, by_name;
	char target[32] = {0};

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.tree_0 = true});
	assert_reads_hello("mnt/t/ya/dir/hello");
	assert_reads_hello("mnt/images/sha256:of-an-image/dir/hello");
	assert_int_equal(stat("mnt/t/ya", &by_id), 0);
	assert_int_equal(stat("mnt/images/sha256:of-an-image", &by_name), 0);
	assert_int_equal(by_id.st_ino, by_name.st_ino);
	assert_int_equal(node_tree_id(by_id.st_ino), FIXTURE_TREE_ID);
	assert_int_equal(readlink("mnt/images/sha256:of-an-image", target, sizeof(target) - 1), 7);
	assert_string_equal(target, "../t/ya");
	assert_int_equal(n_names("mnt"), 4);
	assert_int_equal(n_names("mnt/t"), 1);
	assert_int_equal(n_names("mnt/images"), 1);
	assert_int_equal(n_names("mnt/layers"), 0);
	assert_int_equal(n_names("mnt/data"), 1);
	assert_int_equal(n_names("mnt/t/ya/many"), FIXTURE_MANY);
	fs_fixture_close(&fixture);
}

/* A second tree over the same layer. */
static void add_tree(struct fs_fixture *fixture, uint32_t id)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	const char *slash = strrchr(fixture->tree->index_path, '/');

	assert_non_null(tree);
	tree->id = id;
	tree->kind = TREE_LAYER;
	(void)snprintf(tree->name, sizeof(tree->name), "sha256:of-a-layer");
	assert_int_equal(
		erofs_open(store_layers_fd(fixture->store), slash + 1, &tree->reader, NULL), 0);
	tree->layers = calloc(1, sizeof(struct layer *));
	assert_non_null(tree->layers);
	tree->layers[0] = layer_ref(fixture->layer);
	tree->n_layers = 1;
	assert_int_equal(tree_table_add(fixture->trees, tree, NULL), 0);
	assert_int_equal(tree_table_add_data(fixture->trees, id, fixture->layer, NULL), 0);
}

/* Two tables of one blob, with nothing in common but its digest. */
static void trees_of_one_digest_have_names_of_their_own(void **state)
{
	static const char *const wrong[] = {"mnt/layers/sha256:of-a-layer.a",
		"mnt/layers/sha256:of-a-layer.c", "mnt/layers/sha256:of-a-layer.0b",
		"mnt/layers/sha256:of-a-layer.", "mnt/layers/sha256:of-another.b",
		"mnt/images/sha256:of-a-layer.b"};
	struct fs_fixture fixture;
	char target[16] = "";

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.tree_0 = true});
	add_tree(&fixture, 10);
	assert_int_equal(n_names("mnt/layers"), 1);
	add_tree(&fixture, 11);
	/* The first keeps its name. */
	assert_int_equal(readlink("mnt/layers/sha256:of-a-layer", target, sizeof(target) - 1), 6);
	assert_string_equal(target, "../t/a");
	assert_int_equal(readlink("mnt/layers/sha256:of-a-layer.b", target, sizeof(target) - 1), 6);
	assert_string_equal(target, "../t/b");
	assert_reads_hello("mnt/layers/sha256:of-a-layer.b/dir/hello");
	assert_int_equal(n_names("mnt/layers"), 2);
	assert_true(has_name("mnt/layers", "sha256:of-a-layer"));
	assert_true(has_name("mnt/layers", "sha256:of-a-layer.b"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(access(wrong[i], F_OK), -1);
		assert_int_equal(errno, ENOENT);
	}
	fs_fixture_close(&fixture);
}

static void a_tree_that_appears_later_is_seen_at_once(void **state)
{
	struct fs_fixture fixture;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.tree_0 = true});
	assert_int_equal(n_names("mnt/t"), 1);
	assert_int_equal(n_names("mnt/layers"), 0);
	assert_int_equal(access("mnt/t/a", F_OK), -1);
	assert_int_equal(access("mnt/layers/sha256:of-a-layer", F_OK), -1);
	add_tree(&fixture, 10);
	assert_reads_hello("mnt/t/a/dir/hello");
	assert_reads_hello("mnt/layers/sha256:of-a-layer/dir/hello");
	assert_int_equal(n_names("mnt/t"), 2);
	assert_int_equal(n_names("mnt/layers"), 1);
	assert_int_equal(n_names("mnt/data"), 2);
	fs_fixture_close(&fixture);
}

static void a_data_file_has_the_bytes_of_its_layer(void **state)
{
	struct fs_fixture fixture;
	struct erofs_extent extent;
	uint64_t root, nid;
	uint8_t data[1000];
	struct stat stat;
	bool found;
	int fd;

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.tree_0 = true});
	root = erofs_root(fixture.tree->reader);
	assert_int_equal(erofs_lookup(fixture.tree->reader, root, "big", 3, &found, &nid, NULL), 0);
	assert_true(found);
	assert_int_equal(erofs_extent(fixture.tree->reader, nid, &extent, NULL), 0);
	fd = open("mnt/data/77", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, sizeof(data), (off_t)extent.data_off + 300000), 1000);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], fixture_big_byte(300000 + i));
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(pread(fd, data, sizeof(data), stat.st_size - 10), 10);
	assert_int_equal(pread(fd, data, sizeof(data), stat.st_size), 0);
	close(fd);
	fs_fixture_close(&fixture);
}

static void without_xattrs_the_kernel_asks_once_for_the_session(void **state)
{
	struct fs_fixture fixture;
	struct fs_stats before, after;
	char value[16];

	(void)state;
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.no_xattr = true});
	assert_int_equal(getxattr("mnt/dir/attributes", "user.colour", value, sizeof(value)), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(access("mnt/dir/hello", F_OK), 0);
	fs_session_stats(fixture.session, &before);
	assert_int_equal(getxattr("mnt/dir/hello", "user.colour", value, sizeof(value)), -1);
	fs_session_stats(fixture.session, &after);
	assert_int_equal(after.n_requests, before.n_requests);
	fs_fixture_close(&fixture);
}

static uint64_t n_requests_of_a_look_around(struct fs_fixture *fixture)
{
	struct fs_stats before, after;

	fs_session_stats(fixture->session, &before);
	assert_reads_hello("mnt/dir/hello");
	assert_reads_hello("mnt/dir/link");
	assert_int_equal(access("mnt/dir/nothing", F_OK), -1);
	assert_int_equal(n_names("mnt/many"), FIXTURE_MANY);
	fs_session_stats(fixture->session, &after);
	return after.n_requests - before.n_requests;
}

static void what_was_seen_once_is_not_asked_for_again(void **state)
{
	struct fs_fixture fixture;
	unsigned n_rounds = 0;

	(void)state;
	/* With xattrs the kernel asks again and again for the root's ACL, which it does not keep
	 * because it made that inode before it knew of ACLs. */
	fs_fixture_open(&fixture, &(struct fs_fixture_options){.no_xattr = true});
	assert_true(n_requests_of_a_look_around(&fixture) > 10);
	/* Somebody may make this machine forget what it has cached. */
	while (n_requests_of_a_look_around(&fixture) > 1)
		assert_true(++n_rounds < 20);
	fs_fixture_close(&fixture);
}

static void the_mount_is_the_users(void **state)
{
	FILE *mounts = fopen("/proc/self/mounts", "r");
	struct fs_fixture fixture;
	char line[1024], option[64];
	bool found = false;

	(void)state;
	assert_non_null(mounts);
	fs_fixture_open(&fixture, &(struct fs_fixture_options){0});
	(void)snprintf(option, sizeof(option), "user_id=%u", getuid());
	while (fgets(line, sizeof(line), mounts)) {
		if (strstr(line, fixture.scratch->path))
			found = strstr(line, option) && strstr(line, "nosuid,nodev") &&
				strncmp(line, "registry.example.com/a/b:1,2 ", 29) == 0;
	}
	(void)fclose(mounts);
	assert_true(found);
	assert_reads_hello("mnt/dir/hello");
	fs_fixture_close(&fixture);
}

static const struct CMUnitTest user_tests[] = {
	cmocka_unit_test(the_mount_is_the_users),
	cmocka_unit_test(a_busy_mount_stays_until_its_last_user_is_gone),
	cmocka_unit_test(an_unmount_by_somebody_else_is_noticed),
	cmocka_unit_test(what_was_seen_once_is_not_asked_for_again),
};

enum { NOBODY = 65534, CANNOT_EXEC = 99 };

static void a_user_mounts_and_unmounts_through_fusermount3(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0 || system("command -v fusermount3 >/dev/null") != 0) {
		print_message("skipped: not root, or no fusermount3\n");
		skip();
	}
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(1);
		(void)unsetenv("TMPDIR");
		(void)execl("/proc/self/exe", "test_mount_life", "user", NULL);
		_exit(CANNOT_EXEC);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT_EXEC) {
		print_message("skipped: a user may not run this test where it is\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_busy_mount_stays_until_its_last_user_is_gone),
		cmocka_unit_test(an_unmount_by_somebody_else_is_noticed),
		cmocka_unit_test(what_is_mounted_over_it_is_left_alone),
		cmocka_unit_test(failures_of_starting_say_why),
		cmocka_unit_test(all_trees_are_found_by_id_and_by_digest),
		cmocka_unit_test(trees_of_one_digest_have_names_of_their_own),
		cmocka_unit_test(a_tree_that_appears_later_is_seen_at_once),
		cmocka_unit_test(a_data_file_has_the_bytes_of_its_layer),
		cmocka_unit_test(without_xattrs_the_kernel_asks_once_for_the_session),
		cmocka_unit_test(what_was_seen_once_is_not_asked_for_again),
		cmocka_unit_test(a_user_mounts_and_unmounts_through_fusermount3),
	};

	if (argc > 1 && strcmp(argv[1], "user") == 0)
		return cmocka_run_group_tests(user_tests, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
