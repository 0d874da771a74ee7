/* SPDX-License-Identifier: Apache-2.0 */
/* Images in directories: OCI layouts and containerd's content store. */
#include "local_fixture.h"

#include <sys/stat.h>

#include "format/oci_layout.h"
#include "format/referrers.h"
#include "oci/manifest.h"

#define MANIFEST_TEXT "{\"schemaVersion\": 2, \"layers\": []}"

static void put_index(struct local_fixture *f, const char *layout, const struct descriptor *image)
{
	char path[64], text[1024], digest[DIGEST_TEXT_SIZE];

	(void)snprintf(path, sizeof(path), "%s/index.json", layout);
	(void)snprintf(text, sizeof(text),
		"{\"schemaVersion\": 2, \"manifests\": [{\"mediaType\": \"" MEDIA_TYPE_OCI_MANIFEST
		"\", \"digest\": \"%s\", \"size\": %ju, \"annotations\": "
		"{\"" OCI_LAYOUT_REF_NAME_ANNOTATION "\": \"v1\"}}]}",
		digest_format(&image->digest, digest), (uintmax_t)image->size);
	put_text(f, path, text);
	(void)snprintf(path, sizeof(path), "%s/oci-layout", layout);
	put_text(f, path, "{\"imageLayoutVersion\": \"1.0.0\"}");
}

static void a_layout_gives_its_image_by_tag_and_digest(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci:%s/l:v1");
	CLEANUP(buffer_free) struct buffer document = {0};
	struct descriptor manifest =
		put_blob(f, "l", DIGEST_SHA256, MANIFEST_TEXT, strlen(MANIFEST_TEXT));
	char media_type[128];
	struct digest digest;
	struct error err;

	put_index(f, "l", &manifest);
	assert_int_equal(image->ops->resolve(image, "", &digest, &err), 0);
	assert_true(digest_equal(&digest, &manifest.digest));
	assert_int_equal(image->ops->get_manifest(image, &digest, media_type, &document, &err), 0);
	assert_string_equal((const char *)document.data, MANIFEST_TEXT);
}

static void a_layout_is_asked_again_each_time(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci:%s/l:v1");
	struct descriptor first = put_blob(f, "l", DIGEST_SHA256, "{}", 2);
	struct descriptor second = put_blob(f, "l", DIGEST_SHA256, "{ }", 3);
	struct digest digest;

	put_index(f, "l", &first);
	assert_int_equal(image->ops->resolve(image, "", &digest, NULL), 0);
	assert_true(digest_equal(&digest, &first.digest));
	put_index(f, "l", &second);
	assert_int_equal(image->ops->resolve(image, "", &digest, NULL), 0);
	assert_true(digest_equal(&digest, &second.digest));
}

static void what_is_no_layout_is_told_from_what_is_broken(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor manifest = put_blob(f, "l", DIGEST_SHA256, "{}", 2);

	assert_resolve_fails(f, "oci:%s/nothing", ERROR_NOT_FOUND, "nothing");
	put_text(f, "file", "x");
	assert_resolve_fails(f, "oci:%s/file", ERROR_FORMAT, "written oci-archive:FILE");
	assert_resolve_fails(f, "oci:%s/l", ERROR_FORMAT, "it has no file oci-layout");
	put_index(f, "l", &manifest);
	assert_resolve_fails(f, "oci:%s/l:v2", ERROR_NOT_FOUND, "\"v2\"; there is: v1");
	put_text(f, "l/oci-layout", "{\"imageLayoutVersion\": \"3.0.0\"}");
	assert_resolve_fails(f, "oci:%s/l:v1", ERROR_UNSUPPORTED, "version 3.0.0");
	put_text(f, "l/oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}");
	put_text(f, "l/index.json", "{");
	assert_resolve_fails(f, "oci:%s/l:v1", ERROR_FORMAT, "index.json");
	assert_int_equal(unlinkat(f->scratch->fd, "l/index.json", 0), 0);
	assert_resolve_fails(f, "oci:%s/l:v1", ERROR_NOT_FOUND, "index.json");
}

static void documents_of_other_bytes_or_of_any_size_are_refused(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci:%s/l:v1");
	struct descriptor manifest = put_blob(f, "l", DIGEST_SHA256, "{}", 2);
	char blob[OCI_LAYOUT_BLOB_PATH_SIZE], path[256], media_type[128];
	struct buffer document = {0};
	struct error err = {0};
	int fd;

	(void)snprintf(path, sizeof(path), "l/%s", oci_layout_blob_path(&manifest.digest, blob));
	put_text(f, path, "[]");
	assert_int_equal(
		image->ops->get_manifest(image, &manifest.digest, media_type, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	fd = openat(f->scratch->fd, path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
	close(fd);
	assert_int_equal(
		image->ops->get_manifest(image, &manifest.digest, media_type, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(unlinkat(f->scratch->fd, path, 0), 0);
	assert_int_equal(
		image->ops->get_manifest(image, &manifest.digest, media_type, &document, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_null(document.data);
}

static void ranges_of_blobs_are_those_of_the_manifest(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci:%s/l");
	CLEANUP(buffer_free) struct buffer bytes = {0}, all = {0};
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA512, "0123456789", 10);
	struct descriptor liar = blob;
	struct buffer none = {0};
	struct error err = {0};

	assert_int_equal(image->ops->get_range_unverified(image, &blob, 2, 3, &bytes, &err), 0);
	assert_string_equal((const char *)bytes.data, "234");
	assert_int_equal(image->ops->get_blob(image, &blob, 10, &all, &err), 0);
	assert_string_equal((const char *)all.data, "0123456789");
	assert_int_equal(image->ops->get_blob(image, &blob, 9, &none, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(image->ops->get_range_unverified(image, &blob, 8, 3, &none, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	liar.size = 11;
	assert_int_equal(image->ops->get_range_unverified(image, &liar, 0, 3, &none, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "the manifest says 11"));
}

static void links_lead_to_blobs_and_to_nothing_but_files(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci:%s/l");
	CLEANUP(buffer_free) struct buffer bytes = {0};
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, "0123456789", 10);
	char name[OCI_LAYOUT_BLOB_PATH_SIZE], path[256];
	struct buffer none = {0};
	struct error err = {0};

	(void)snprintf(path, sizeof(path), "l/%s", oci_layout_blob_path(&blob.digest, name));
	assert_int_equal(renameat(f->scratch->fd, path, f->scratch->fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("../../../elsewhere", f->scratch->fd, path), 0);
	assert_int_equal(image->ops->get_blob(image, &blob, 100, &bytes, &err), 0);
	assert_int_equal(bytes.size, 10);

	/* Opening it for reading would last until somebody writes. */
	assert_int_equal(unlinkat(f->scratch->fd, path, 0), 0);
	assert_int_equal(mkfifoat(f->scratch->fd, path, 0600), 0);
	assert_int_equal(image->ops->get_blob(image, &blob, 100, &none, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(unlinkat(f->scratch->fd, path, 0), 0);
	assert_int_equal(mkdirat(f->scratch->fd, path, 0700), 0);
	assert_int_equal(image->ops->get_blob(image, &blob, 100, &none, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "is a directory"));
	assert_int_equal(unlinkat(f->scratch->fd, path, AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat(strrchr(path, '/') + 1, f->scratch->fd, path), 0);
	assert_int_equal(image->ops->get_blob(image, &blob, 100, &none, &err), -1);
	assert_null(none.data);
}

static void a_companion_needs_a_tag(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *tagged = open_image(f, "oci:%s/l:v1");
	CLEANUP(image_source_freep) struct image_source *plain = open_image(f, "oci:%s/l");
	struct descriptor manifest = put_blob(f, "l", DIGEST_SHA256, "{}", 2);
	struct error err = {0};
	struct digest digest;

	put_index(f, "l", &manifest);
	assert_int_equal(plain->ops->resolve(plain, "-more", &digest, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(tagged->ops->resolve(tagged, "-more", &digest, &err), -1);
	assert_non_null(strstr(err.message, "\"v1-more\""));
}

static void a_content_store_is_found_from_its_own_root_or_that_of_containerd(void **state)
{
	struct local_fixture *f = *state;
	static const char digest[] =
		"@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	const char *const paths[] = {"containerd:%s/c", "containerd:%s/c/io.containerd.content.v1"
							".content"};
	struct descriptor blob =
		put_blob(f, "c/io.containerd.content.v1.content", DIGEST_SHA256, "0123456789", 10);
	struct descriptor other = blob;
	char name[256];

	other.digest.bytes[0] ^= 1;
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(image_source_freep) struct image_source *image = NULL;
		CLEANUP(buffer_free) struct buffer bytes = {0};
		struct buffer none = {0};
		struct error err = {0};
		struct digest found;

		(void)snprintf(name, sizeof(name), "%s%s", paths[i], digest);
		image = open_image(f, name);
		assert_int_equal(image->ops->get_blob(image, &blob, 100, &bytes, &err), 0);
		assert_int_equal(image->ops->get_blob(image, &other, 100, &none, &err), -1);
		assert_int_equal(err.kind, ERROR_NOT_FOUND);
		assert_non_null(strstr(err.message, "containerd does not have sha256:"));
		assert_int_equal(image->ops->resolve(image, "", &found, &err), -1);
	}
}

#define LAYOUT_TEST(name) cmocka_unit_test_setup_teardown(name, local_setup, local_teardown)

#define ENTRY(more)                                                                                \
	"{\"mediaType\": \"" MEDIA_TYPE_OCI_MANIFEST "\", \"digest\": \"%s\", \"size\": %ju" more  \
	"}"

/* A manifest that refers to another one. */
static struct descriptor put_referrer(
	struct local_fixture *f, const struct digest *subject, const char *type)
{
	char text[400], digest[DIGEST_TEXT_SIZE];

	(void)snprintf(text, sizeof(text),
		"{\"schemaVersion\": 2, \"artifactType\": \"%s\", \"layers\": [], \"subject\": "
		"{\"mediaType\": \"" MEDIA_TYPE_OCI_MANIFEST
		"\", \"digest\": \"%s\", \"size\": 2}}",
		type, digest_format(subject, digest));
	return put_blob(f, "l", DIGEST_SHA256, text, strlen(text));
}

static void a_layout_lists_what_refers_to_an_image(void **state)
{
	struct local_fixture *f = *state;
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci:%s/l:v1");
	CLEANUP(buffer_free) struct buffer list = {0};
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;
	struct descriptor manifest =
		put_blob(f, "l", DIGEST_SHA256, MANIFEST_TEXT, strlen(MANIFEST_TEXT));
	struct descriptor other = put_blob(f, "l", DIGEST_SHA256, "{}", 2);
	struct descriptor one = put_referrer(f, &manifest.digest, "t/one");
	struct descriptor two = put_referrer(f, &manifest.digest, "t/two");
	struct descriptor none = put_referrer(f, &other.digest, "t/one");
	struct descriptor tagged;
	char text[3000], digests[5][DIGEST_TEXT_SIZE], tag[REFERRERS_TAG_SIZE];
	struct error err = {0};

	put_index(f, "l", &manifest);
	assert_int_equal(
		image->ops->get_referrers(image, &manifest.digest, "t/one", &list, &err), 0);
	assert_int_equal(list.size, 0);

	(void)snprintf(text, sizeof(text), "{\"schemaVersion\": 2, \"manifests\": [" ENTRY("") "]}",
		digest_format(&two.digest, digests[0]), (uintmax_t)two.size);
	tagged = put_blob(f, "l", DIGEST_SHA256, text, strlen(text));
	(void)snprintf(text, sizeof(text),
		"{\"schemaVersion\": 2, \"manifests\": [" ENTRY("") "," ENTRY("") "," ENTRY(
			"") "," ENTRY(", \"annotations\": {\"" OCI_LAYOUT_REF_NAME_ANNOTATION
				      "\": \"%s\"}") "," ENTRY("") "]}",
		digest_format(&manifest.digest, digests[0]), (uintmax_t)manifest.size,
		digest_format(&one.digest, digests[1]), (uintmax_t)one.size,
		digest_format(&none.digest, digests[2]), (uintmax_t)none.size,
		digest_format(&tagged.digest, digests[3]), (uintmax_t)tagged.size,
		referrers_tag(&manifest.digest, tag),
		"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		(uintmax_t)5);
	put_text(f, "l/index.json", text);
	if (image->ops->get_referrers(image, &manifest.digest, "t/one", &list, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(referrers_parse(list.data, list.size, NULL, &referrers, &err), 0);
	assert_int_equal(referrers->n, 2);
	assert_true(digest_equal(&referrers->list[0].descriptor.digest, &two.digest));
	assert_true(digest_equal(&referrers->list[1].descriptor.digest, &one.digest));
	assert_string_equal(referrers->list[1].artifact_type, "t/one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_layout_lists_what_refers_to_an_image, local_setup, local_teardown),
		LAYOUT_TEST(a_layout_gives_its_image_by_tag_and_digest),
		LAYOUT_TEST(a_layout_is_asked_again_each_time),
		LAYOUT_TEST(what_is_no_layout_is_told_from_what_is_broken),
		LAYOUT_TEST(documents_of_other_bytes_or_of_any_size_are_refused),
		LAYOUT_TEST(ranges_of_blobs_are_those_of_the_manifest),
		LAYOUT_TEST(links_lead_to_blobs_and_to_nothing_but_files),
		LAYOUT_TEST(a_companion_needs_a_tag),
		LAYOUT_TEST(a_content_store_is_found_from_its_own_root_or_that_of_containerd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
