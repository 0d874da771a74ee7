/* SPDX-License-Identifier: Apache-2.0 */
/* Images in archives: OCI layouts and what `docker save` writes. */
#include "local_fixture.h"

#include <sys/stat.h>

#include "format/docker_archive.h"
#include "format/oci_layout.h"
#include "oci/manifest.h"
#include "support/tar_archive.h"

#define ONE_LAYER                                                                                  \
	"[{\"Config\": \"config.json\", \"RepoTags\": [\"app:1\"], \"Layers\": "                   \
	"[\"layer.tar\"]}]"

static void put_archive(struct local_fixture *f, const char *path, struct buffer *archive)
{
	archive_put_end(archive);
	put_file(f, path, archive->data, archive->size);
}

static void put_bytes(struct buffer *archive, const char *name, const void *data, size_t size)
{
	archive_put(archive,
		&(struct tar_member){.type = '0', .name = name, .mode = 0644, .size = size});
	archive_put_payload(archive, data, size);
}

/* The config of an image of these layers. */
static void put_config(
	struct buffer *archive, const char *name, const struct digest *diff_ids, size_t n)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	char digest[DIGEST_TEXT_SIZE];

	assert_int_equal(
		buffer_printf(&text, "{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": ["), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buffer_printf(&text, "%s\"%s\"", i ? ", " : "",
					 digest_format(&diff_ids[i], digest)),
			0);
	assert_int_equal(buffer_printf(&text, "]}}"), 0);
	archive_put_file(archive, name, (const char *)text.data);
}

static struct digest digest_of(const void *data, size_t size)
{
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, data, size, &digest, NULL), 0);
	return digest;
}

static struct manifest *manifest_of(struct image_source *image)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	struct manifest *manifest;
	struct digest digest;
	char media_type[128];
	struct error err = {0};

	if (image->ops->resolve(image, "", &digest, &err) < 0 ||
		image->ops->get_manifest(image, &digest, media_type, &text, &err) < 0 ||
		manifest_parse(text.data, text.size, &manifest, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(digest_check(&digest, text.data, text.size, NULL), 0);
	return manifest;
}

static void a_layout_in_an_archive_is_read_in_place(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci-archive:%s/a");
	CLEANUP(buffer_free) struct buffer archive = {0}, index = {0}, part = {0};
	struct descriptor blob = {.size = BLOB_SIZE};
	struct local_reading reading = {.n_done = 0};
	char path[OCI_LAYOUT_BLOB_PATH_SIZE], text[DIGEST_TEXT_SIZE];
	struct source *source;
	struct digest digest;
	struct error err = {0};

	blob.digest = digest_of(f->blob, BLOB_SIZE);
	assert_int_equal(
		buffer_printf(&index,
			"{\"schemaVersion\": 2, \"manifests\": [{\"mediaType\": "
			"\"" MEDIA_TYPE_OCI_MANIFEST "\", \"digest\": \"%s\", \"size\": 1}]}",
			digest_format(&blob.digest, text)),
		0);
	put_bytes(&archive, oci_layout_blob_path(&blob.digest, path), f->blob, BLOB_SIZE);
	archive_put_file(&archive, "./index.json", (const char *)index.data);
	archive_put_file(&archive, "oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}");
	put_archive(f, "a", &archive);

	assert_int_equal(image->ops->resolve(image, "", &digest, &err), 0);
	assert_true(digest_equal(&digest, &blob.digest));
	assert_int_equal(image->ops->get_range_unverified(image, &blob, 1000, 50, &part, &err), 0);
	assert_memory_equal(part.data, f->blob + 1000, 50);
	assert_int_equal(image->ops->open_blob(image, &blob, &source, &err), 0);
	local_read(&reading, f, source, 0, BLOB_SIZE);
	assert_int_equal(reading.err.kind, ERROR_NONE);
	assert_int_equal(reading.body.size, BLOB_SIZE);
	assert_memory_equal(reading.body.data, f->blob, BLOB_SIZE);
	local_reading_clear(&reading);
	free_source(f, source);
}

static void an_archive_that_changes_is_refused_from_then_on(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep)
	struct image_source *image = open_image(f, "docker-archive:%s/a");
	CLEANUP(buffer_free) struct buffer archive = {0};
	struct local_reading reading = {.n_done = 0};
	struct digest diff_id = digest_of(f->blob, 1000);
	struct descriptor layer = {.digest = diff_id, .size = 1000};
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	struct buffer none = {0};
	struct source *source;
	struct error err = {0};
	int fd;

	put_bytes(&archive, "layer.tar", f->blob, 1000);
	put_config(&archive, "config.json", &diff_id, 1);
	archive_put_file(&archive, "manifest.json", ONE_LAYER);
	put_archive(f, "a", &archive);
	manifest = manifest_of(image);
	assert_int_equal(image->ops->open_blob(image, &layer, &source, &err), 0);

	fd = openat(f->scratch->fd, "a", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "more", 4), 4);
	close(fd);
	local_read(&reading, f, source, 0, 1000);
	assert_int_equal(reading.err.kind, ERROR_FORMAT);
	assert_non_null(strstr(reading.err.message, "was changed while it was in use"));
	assert_int_equal(reading.body.size, 0);
	assert_int_equal(image->ops->get_range_unverified(image, &layer, 0, 10, &none, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	local_reading_clear(&reading);
	free_source(f, source);
}

static void an_archive_that_is_replaced_stays_what_it_was(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep)
	struct image_source *image = open_image(f, "docker-archive:%s/a");
	CLEANUP(buffer_free) struct buffer archive = {0}, part = {0};
	struct digest diff_id = digest_of(f->blob, 1000);
	struct descriptor layer = {.digest = diff_id, .size = 1000};
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	struct error err = {0};

	put_bytes(&archive, "layer.tar", f->blob, 1000);
	put_config(&archive, "config.json", &diff_id, 1);
	archive_put_file(&archive, "manifest.json", ONE_LAYER);
	put_archive(f, "a", &archive);
	manifest = manifest_of(image);
	put_text(f, "a", "something else");
	assert_int_equal(image->ops->get_range_unverified(image, &layer, 0, 10, &part, &err), 0);
	assert_memory_equal(part.data, f->blob, 10);
}

static void layers_of_docker_are_known_by_their_diff_ids(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep)
	struct image_source *image = open_image(f, "docker-archive:%s/a:app:1");
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(buffer_free) struct buffer archive = {0}, layer = {0}, config = {0};
	struct digest diff_ids[2] = {digest_of(f->blob, 1000), digest_of(f->blob, 2000)};
	struct error err = {0};

	put_bytes(&archive, "1.tar", f->blob, 1000);
	put_bytes(&archive, "2/layer.tar", f->blob, 2000);
	/* As Docker writes a layer that was there before. */
	archive_put(&archive,
		&(struct tar_member){.type = '2', .name = "1/layer.tar", .link_name = "../1.tar"});
	put_config(&archive, "config.json", diff_ids, 2);
	archive_put_file(&archive, "manifest.json",
		"[{\"Config\": \"config.json\", \"RepoTags\": [\"app:1\"], \"Layers\": "
		"[\"1/layer.tar\", \"2/layer.tar\"]}]");
	put_archive(f, "a", &archive);

	manifest = manifest_of(image);
	assert_string_equal(manifest->config.media_type, DOCKER_CONFIG_MEDIA_TYPE);
	assert_int_equal(manifest->n_layers, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(digest_equal(&manifest->layers[i].digest, &diff_ids[i]));
		assert_string_equal(manifest->layers[i].media_type,
			"application/vnd.docker.image.rootfs.diff.tar");
	}
	assert_int_equal(
		image->ops->get_blob(image, &manifest->layers[0], 1 << 20, &layer, &err), 0);
	assert_int_equal(layer.size, 1000);
	assert_int_equal(image->ops->get_blob(image, &manifest->config, 1 << 20, &config, &err), 0);
	assert_non_null(strstr((const char *)config.data, "diff_ids"));
}

static void compressed_layers_get_the_digest_they_have(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep)
	struct image_source *image = open_image(f, "docker-archive:%s/a");
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(buffer_free) struct buffer archive = {0}, list = {0};
	struct digest diff_ids[2] = {digest_of("1", 1), digest_of("2", 1)};
	struct digest blobs[2];
	char path[OCI_LAYOUT_BLOB_PATH_SIZE];

	/* As much of gzip as is looked at. */
	memcpy(f->blob, "\x1f\x8b", 2);
	blobs[0] = digest_of(f->blob, BLOB_SIZE);
	blobs[1] = digest_of(f->blob, 7);
	put_bytes(&archive, "layer.tar.gz", f->blob, BLOB_SIZE);
	put_bytes(&archive, oci_layout_blob_path(&blobs[1], path), f->blob, 7);
	put_config(&archive, "config.json", diff_ids, 2);
	assert_int_equal(buffer_printf(&list,
				 "[{\"Config\": \"config.json\", \"Layers\": [\"layer.tar.gz\", "
				 "\"%s\"]}]",
				 path),
		0);
	archive_put_file(&archive, "manifest.json", (const char *)list.data);
	put_archive(f, "a", &archive);

	manifest = manifest_of(image);
	assert_int_equal(manifest->n_layers, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(digest_equal(&manifest->layers[i].digest, &blobs[i]));
		assert_string_equal(manifest->layers[i].media_type,
			"application/vnd.docker.image.rootfs.diff.tar.gzip");
	}
	assert_int_equal(manifest->layers[0].size, BLOB_SIZE);
}

static void a_digest_is_found_without_its_name(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep)
	struct image_source *first = open_image(f, "docker-archive:%s/a:app:1");
	CLEANUP(image_source_freep)
	struct image_source *image = open_image(f, "docker-archive:%s/a");
	CLEANUP(buffer_free) struct buffer archive = {0}, text = {0}, layer = {0};
	struct digest diff_id = digest_of(f->blob, 1000);
	struct descriptor descriptor = {.digest = diff_id, .size = 1000};
	struct digest manifest, unknown = diff_id;
	struct buffer none = {0};
	char media_type[128];
	struct error err = {0};

	put_bytes(&archive, "layer.tar", f->blob, 1000);
	put_config(&archive, "config.json", &diff_id, 1);
	archive_put_file(&archive, "manifest.json", ONE_LAYER);
	put_archive(f, "a", &archive);
	assert_int_equal(first->ops->resolve(first, "", &manifest, &err), 0);
	assert_int_equal(image->ops->get_manifest(image, &manifest, media_type, &text, &err), 0);
	assert_int_equal(image->ops->get_blob(image, &descriptor, 1000, &layer, &err), 0);
	unknown.bytes[0] ^= 1;
	assert_int_equal(image->ops->get_manifest(image, &unknown, media_type, &none, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void what_is_no_archive_of_docker_is_told_what_it_is(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer old = {0}, oci = {0}, other = {0}, lacking = {0};
	struct digest diff_id = digest_of("", 0);

	archive_put_file(&old, "repositories", "{}");
	put_archive(f, "old", &old);
	assert_resolve_fails(f, "docker-archive:%s/old", ERROR_UNSUPPORTED, "older than 1.10");
	archive_put_file(&oci, "oci-layout", "{}");
	put_archive(f, "oci", &oci);
	assert_resolve_fails(f, "docker-archive:%s/oci", ERROR_FORMAT, "it is oci-archive:FILE");
	archive_put_file(&other, "file", "text");
	put_archive(f, "other", &other);
	assert_resolve_fails(f, "docker-archive:%s/other", ERROR_FORMAT, "no manifest.json");
	assert_resolve_fails(f, "oci-archive:%s/other", ERROR_FORMAT, "no file oci-layout");
	assert_resolve_fails(f, "oci-archive:%s", ERROR_FORMAT, "is written oci:DIR");
	assert_resolve_fails(f, "oci-archive:%s/absent", ERROR_NOT_FOUND, "absent");
	put_config(&lacking, "config.json", &diff_id, 1);
	archive_put_file(&lacking, "manifest.json", ONE_LAYER);
	put_archive(f, "lacking", &lacking);
	assert_resolve_fails(
		f, "docker-archive:%s/lacking", ERROR_NOT_FOUND, "has no file layer.tar");
}

static void the_config_has_as_many_layers_as_the_image(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = {0};

	put_config(&archive, "config.json", NULL, 0);
	archive_put_file(&archive, "layer.tar", "x");
	archive_put_file(&archive, "manifest.json", ONE_LAYER);
	put_archive(f, "a", &archive);
	assert_resolve_fails(
		f, "docker-archive:%s/a", ERROR_FORMAT, "has 0 layers, manifest.json has 1");
}

#define ARCHIVE_TEST(name) cmocka_unit_test_setup_teardown(name, local_setup, local_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARCHIVE_TEST(a_layout_in_an_archive_is_read_in_place),
		ARCHIVE_TEST(an_archive_that_changes_is_refused_from_then_on),
		ARCHIVE_TEST(an_archive_that_is_replaced_stays_what_it_was),
		ARCHIVE_TEST(layers_of_docker_are_known_by_their_diff_ids),
		ARCHIVE_TEST(compressed_layers_get_the_digest_they_have),
		ARCHIVE_TEST(a_digest_is_found_without_its_name),
		ARCHIVE_TEST(what_is_no_archive_of_docker_is_told_what_it_is),
		ARCHIVE_TEST(the_config_has_as_many_layers_as_the_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
