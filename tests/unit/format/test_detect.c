/* SPDX-License-Identifier: Apache-2.0 */
#include "format/detect.h"

#include "support/test.h"

#include <string.h>

#define OCI_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"

/* A layer descriptor that lives in its arguments. */
struct layer {
	struct annotation annotation;
	struct descriptor descriptor;
};

static const struct descriptor *make_layer(
	struct layer *layer, const char *media_type, const char *toc_digest)
{
	layer->annotation.key = (char *)ESTARGZ_TOC_DIGEST_ANNOTATION;
	layer->annotation.value = (char *)toc_digest;
	layer->descriptor = (struct descriptor){
		.media_type = (char *)media_type,
		.size = 1000,
		.annotations = &layer->annotation,
		.n_annotations = toc_digest ? 1 : 0,
	};
	return &layer->descriptor;
}

static void gzip_layers_with_the_annotation_are_estargz(void **state)
{
	(void)state;
	static const char *const media_types[] = {OCI_GZIP,
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"};

	for (size_t i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++) {
		struct detected_layer detected;
		struct error err = {0};
		struct layer layer;
		char text[DIGEST_TEXT_SIZE];

		assert_int_equal(detect_layer(make_layer(&layer, media_types[i], DIGEST), false,
					 &detected, &err),
			0);
		assert_int_equal(detected.format, LAYER_FORMAT_ESTARGZ);
		assert_string_equal(detected.name, "estargz");
		assert_true(detected.has_toc_digest);
		assert_string_equal(digest_format(&detected.toc_digest, text), DIGEST);
	}
}

static void a_layer_without_the_annotation_needs_permission(void **state)
{
	(void)state;
	struct detected_layer detected;
	struct error err = {0};
	struct layer layer;

	(void)make_layer(&layer, OCI_GZIP, NULL);
	assert_int_equal(detect_layer(&layer.descriptor, false, &detected, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, OCI_GZIP));
	assert_non_null(strstr(err.message, ESTARGZ_TOC_DIGEST_ANNOTATION));
	assert_int_equal(detect_layer(&layer.descriptor, true, &detected, &err), 0);
	assert_int_equal(detected.format, LAYER_FORMAT_ESTARGZ);
	assert_false(detected.has_toc_digest);
}

static void an_annotation_that_is_no_digest_is_refused_even_with_permission(void **state)
{
	(void)state;
	struct detected_layer detected;
	struct error err = {0};
	struct layer layer;

	(void)make_layer(&layer, OCI_GZIP, "sha256:11");
	assert_int_equal(detect_layer(&layer.descriptor, true, &detected, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, ESTARGZ_TOC_DIGEST_ANNOTATION));
}

static void other_media_types_are_named(void **state)
{
	(void)state;
	static const char *const media_types[] = {"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+zstd", "application/octet-stream", ""};

	for (size_t i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++) {
		struct detected_layer detected;
		struct error err = {0};
		struct layer layer;

		assert_int_equal(detect_layer(make_layer(&layer, media_types[i], DIGEST), true,
					 &detected, &err),
			-1);
		assert_int_equal(err.kind, ERROR_UNSUPPORTED);
		assert_non_null(strstr(err.message, media_types[i]));
	}
}

static void the_end_of_the_blob_confirms_or_contradicts(void **state)
{
	(void)state;
	static const uint8_t external[] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 21, 0, 'S', 'G',
		17, 0, 'S', 'T', 'A', 'R', 'G', 'Z', 'E', 'X', 'T', 'E', 'R', 'N', 'A', 'L', 'T',
		'O', 'C', 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t nothing[100];
	struct estargz_footer footer;
	struct error err = {0};
	struct layer layer;

	(void)make_layer(&layer, OCI_GZIP, DIGEST);
	assert_int_equal(
		detect_estargz_footer(&layer.descriptor, external, sizeof(external), &footer, &err),
		0);
	assert_int_equal(footer.kind, ESTARGZ_EXTERNAL);

	assert_int_equal(
		detect_estargz_footer(&layer.descriptor, nothing, sizeof(nothing), &footer, &err),
		-1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, ESTARGZ_TOC_DIGEST_ANNOTATION));

	(void)make_layer(&layer, OCI_GZIP, NULL);
	assert_int_equal(
		detect_estargz_footer(&layer.descriptor, nothing, sizeof(nothing), &footer, &err),
		-1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "a plain gzip layer without an eStargz table"));
	assert_int_equal(footer.kind, ESTARGZ_EXTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_layers_with_the_annotation_are_estargz),
		cmocka_unit_test(a_layer_without_the_annotation_needs_permission),
		cmocka_unit_test(an_annotation_that_is_no_digest_is_refused_even_with_permission),
		cmocka_unit_test(other_media_types_are_named),
		cmocka_unit_test(the_end_of_the_blob_confirms_or_contradicts),
	};
	return cmocka_run_group_tests_name("format/detect", tests, NULL, NULL);
}
