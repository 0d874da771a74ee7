/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/manifest.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"

#define DIGEST "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define MEDIA_TYPE(type) "\"mediaType\":\"" type "\""
#define LAYER "{" MEDIA_TYPE("a/b") ",\"size\":500,\"digest\":\"" DIGEST "\"}"
#define CONFIG "\"config\":" LAYER

/* A document of the fuzz target's corpus: they are what registries really answer. */
static struct buffer corpus(const char *name)
{
	struct buffer buffer = {0};
	struct error err = {0};
	char path[512];

	assert_non_null(getenv("VARVE_TEST_MANIFESTS"));
	(void)snprintf(path, sizeof(path), "%s/%s", getenv("VARVE_TEST_MANIFESTS"), name);
	if (file_read(AT_FDCWD, path, 1 << 20, &buffer, &err) < 0)
		fail_msg("%s", err.message);
	return buffer;
}

static void an_oci_manifest_is_read_with_its_layers_in_order(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = corpus("oci-image.json");
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	const struct descriptor *layers;

	assert_int_equal(manifest_parse(text.data, text.size, &manifest, NULL), 0);
	layers = manifest->layers;
	assert_string_equal(manifest->media_type, MEDIA_TYPE_OCI_MANIFEST);
	assert_int_equal(manifest->config.size, 7023);
	assert_int_equal(manifest->n_layers, 3);
	assert_int_equal(layers[0].size, 29126484);
	assert_string_equal(
		descriptor_annotation(&layers[0], "io.containers.estargz.uncompressed-size"),
		"77861376");
	assert_string_equal(layers[1].media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
	assert_string_equal(layers[2].urls[0], "https://layers.example.com/l2");
	assert_int_equal(manifest->n_annotations, 2);
	assert_string_equal(manifest->annotations[0].key, "org.opencontainers.image.created");
}

static void a_docker_manifest_is_read_alike(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = corpus("docker-image.json");
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;

	assert_int_equal(manifest_parse(text.data, text.size, &manifest, NULL), 0);
	assert_string_equal(manifest->media_type, MEDIA_TYPE_DOCKER_MANIFEST);
	assert_string_equal(
		manifest->config.media_type, "application/vnd.docker.container.image.v1+json");
	assert_int_equal(manifest->n_layers, 2);
	assert_int_equal(manifest->layers[1].size, 1654613376);
}

static void a_manifest_may_have_no_media_type_and_no_layers(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = corpus("oci-image-minimal.json");
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;

	assert_int_equal(manifest_parse(text.data, text.size, &manifest, NULL), 0);
	assert_string_equal(manifest->media_type, MEDIA_TYPE_OCI_MANIFEST);
	assert_int_equal(manifest->n_layers, 0);
}

static void the_kind_of_every_document_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *content_type;
		enum manifest_kind kind;
	} cases[] = {
		{"oci-image.json", NULL, MANIFEST_IMAGE},
		{"oci-image.json", MEDIA_TYPE_OCI_MANIFEST "; charset=utf-8", MANIFEST_IMAGE},
		{"oci-image.json", "application/json", MANIFEST_IMAGE},
		{"oci-image.json", "not a media type", MANIFEST_IMAGE},
		{"oci-image-minimal.json", MEDIA_TYPE_DOCKER_MANIFEST, MANIFEST_IMAGE},
		{"oci-artifact.json", MEDIA_TYPE_OCI_MANIFEST, MANIFEST_IMAGE},
		{"docker-image.json", MEDIA_TYPE_DOCKER_MANIFEST, MANIFEST_IMAGE},
		{"oci-index.json", MEDIA_TYPE_OCI_INDEX, MANIFEST_INDEX},
		{"oci-index-nested.json", NULL, MANIFEST_INDEX},
		{"oci-index-nested.json", MEDIA_TYPE_OCI_INDEX, MANIFEST_INDEX},
		{"docker-list.json", MEDIA_TYPE_DOCKER_LIST, MANIFEST_INDEX},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buffer_free) struct buffer text = corpus(cases[i].name);
		enum manifest_kind kind;
		struct error err = {0};

		if (manifest_detect(text.data, text.size, cases[i].content_type, &kind, &err) < 0)
			fail_msg("%s: %s", cases[i].name, err.message);
		assert_int_equal(kind, cases[i].kind);
	}
}

static void assert_refused(const char *text, size_t size, const char *content_type,
	enum error_kind kind, const char *why)
{
	enum manifest_kind detected;
	struct error err = {0};

	assert_int_equal(manifest_detect(text, size, content_type, &detected, &err), -1);
	if (err.kind != kind || !strstr(err.message, why))
		fail_msg("%s", err.message);
}

static void what_is_no_manifest_is_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum error_kind kind;
		const char *why;
	} cases[] = {
		{"", ERROR_FORMAT, ""},
		{"<html>", ERROR_FORMAT, ""},
		{"[]", ERROR_FORMAT, "not a JSON object"},
		{"{}", ERROR_FORMAT, "neither"},
		{"{\"layers\":null,\"manifests\":null}", ERROR_FORMAT, "neither"},
		{"{\"layers\":[],\"manifests\":[]}", ERROR_FORMAT, "has both"},
		{"{\"config\":{},\"manifests\":[]}", ERROR_FORMAT, "has both"},
		{"{" MEDIA_TYPE(MEDIA_TYPE_OCI_INDEX) ",\"layers\":[]}", ERROR_FORMAT,
			"members of an image manifest"},
		{"{" MEDIA_TYPE(MEDIA_TYPE_OCI_MANIFEST) ",\"manifests\":[]}", ERROR_FORMAT,
			"members of an index"},
		{"{\"mediaType\":1,\"layers\":[]}", ERROR_FORMAT, "\"mediaType\""},
		{"{" MEDIA_TYPE("application/vnd.example+json") ",\"layers\":[]}",
			ERROR_UNSUPPORTED, "application/vnd.example+json is neither"},
		{"{\"schemaVersion\":1,\"layers\":[]}", ERROR_UNSUPPORTED, "schema 1"},
		{"{\"schemaVersion\":3,\"layers\":[]}", ERROR_UNSUPPORTED, "3 instead of 2"},
		{"{\"schemaVersion\":\"2\",\"layers\":[]}", ERROR_FORMAT, "\"schemaVersion\""},
		{"{" MEDIA_TYPE("application/vnd.docker.distribution.manifest.v1+prettyjws") "}",
			ERROR_UNSUPPORTED, "schema 1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(
			cases[i].text, strlen(cases[i].text), NULL, cases[i].kind, cases[i].why);
}

static void docker_schema_1_is_refused_with_a_cure(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = corpus("docker-schema1.json");
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	struct error err = {0};

	assert_int_equal(manifest_parse(text.data, text.size, &manifest, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "push the image again"));
}

static void a_contradicting_content_type_is_refused_naming_both(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *content_type;
	} cases[] = {
		{"oci-image.json", MEDIA_TYPE_OCI_INDEX},
		{"oci-image.json", MEDIA_TYPE_DOCKER_MANIFEST},
		{"docker-list.json", MEDIA_TYPE_DOCKER_MANIFEST},
		{"oci-image-minimal.json", MEDIA_TYPE_OCI_INDEX},
		{"oci-image-minimal.json", "application/vnd.docker.distribution.manifest.v1+json"},
		{"oci-index-nested.json", MEDIA_TYPE_OCI_MANIFEST},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buffer_free) struct buffer text = corpus(cases[i].name);

		assert_refused((char *)text.data, text.size, cases[i].content_type, ERROR_FORMAT,
			cases[i].content_type);
	}
}

static void a_document_above_the_size_limit_is_refused_unread(void **state)
{
	(void)state;
	size_t size = MANIFEST_MAX_SIZE + 1;
	CLEANUP(cleanup_free) char *text = malloc(size);

	assert_non_null(text);
	memset(text, ' ', size);
	memcpy(text, "{\"layers\":[]}", 13);
	assert_refused(text, size, NULL, ERROR_FORMAT, "more than the limit");
}

static void a_wrong_member_is_named_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"{\"layers\":[]}", "\"config\": the descriptor is missing"},
		{"{" CONFIG "}", "\"layers\" is missing"},
		{"{" CONFIG ",\"layers\":{}}", "\"layers\" is missing or not an array"},
		{"{" CONFIG ",\"layers\":[" LAYER ",{}]}",
			"\"layers\"[1]: \"mediaType\" is missing"},
		{"{" CONFIG ",\"layers\":[" LAYER ",null]}", "\"layers\"[1]: "},
		{"{" CONFIG ",\"layers\":[],\"annotations\":{\"a\":null}}", "annotation \"a\""},
		{"{\"manifests\":[]}", "is an index where"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct manifest *manifest = NULL;
		struct error err = {0};

		assert_int_equal(
			manifest_parse(cases[i].text, strlen(cases[i].text), &manifest, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		if (!strstr(err.message, cases[i].why))
			fail_msg("%s", err.message);
	}
}

static void the_number_of_layers_is_limited(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = {0};
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	struct error err = {0};
	const char *entry = "," LAYER;

	assert_int_equal(buffer_printf(&text, "{" CONFIG ",\"layers\":[" LAYER), 0);
	for (int i = 1; i < MANIFEST_MAX_LAYERS; i++)
		assert_int_equal(buffer_append(&text, entry, strlen(entry)), 0);
	assert_int_equal(buffer_append(&text, "]}", 2), 0);
	assert_int_equal(manifest_parse(text.data, text.size, &manifest, NULL), 0);
	assert_int_equal(manifest->n_layers, MANIFEST_MAX_LAYERS);

	text.size -= 2;
	assert_int_equal(buffer_printf(&text, "%s]}", entry), 0);
	manifest_free(TAKE_PTR(manifest));
	assert_int_equal(manifest_parse(text.data, text.size, &manifest, &err), -1);
	assert_non_null(strstr(err.message, "at most 1024"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_oci_manifest_is_read_with_its_layers_in_order),
		cmocka_unit_test(a_docker_manifest_is_read_alike),
		cmocka_unit_test(a_manifest_may_have_no_media_type_and_no_layers),
		cmocka_unit_test(the_kind_of_every_document_is_told),
		cmocka_unit_test(what_is_no_manifest_is_refused_with_the_reason),
		cmocka_unit_test(docker_schema_1_is_refused_with_a_cure),
		cmocka_unit_test(a_contradicting_content_type_is_refused_naming_both),
		cmocka_unit_test(a_document_above_the_size_limit_is_refused_unread),
		cmocka_unit_test(a_wrong_member_is_named_with_its_place),
		cmocka_unit_test(the_number_of_layers_is_limited),
	};
	return cmocka_run_group_tests_name("oci/manifest", tests, NULL, NULL);
}
