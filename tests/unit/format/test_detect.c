/* SPDX-License-Identifier: Apache-2.0 */
#include "format/detect.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define TAR "application/vnd.oci.image.layer.v1.tar"
#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define OTHER "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define STARGZ_CHECKSUM "io.containers.zstd-chunked.manifest-checksum"

/* A layer descriptor that lives in its arguments. */
struct layer {
	struct annotation annotations[3];
	struct descriptor descriptor;
};

static struct layer make_layer(const char *media_type)
{
	return (struct layer){.descriptor = {.media_type = (char *)media_type, .size = 1000}};
}

static void annotate(struct layer *layer, const char *key, const char *value)
{
	layer->annotations[layer->descriptor.n_annotations++] =
		(struct annotation){.key = (char *)key, .value = (char *)value};
	layer->descriptor.annotations = layer->annotations;
}

static void assert_is(
	struct layer *layer, enum layer_format format, const char *name, const char *toc_digest)
{
	struct detected_layer detected;
	struct error err = {0};
	char text[DIGEST_TEXT_SIZE];

	layer->descriptor.annotations = layer->annotations;
	if (detect_layer(&layer->descriptor, &detected, &err) < 0)
		fail_msg("%s: %s", layer->descriptor.media_type, err.message);
	assert_int_equal(detected.format, format);
	assert_string_equal(detected.name, name);
	assert_int_equal(layer_format_has_toc(detected.format), toc_digest != NULL);
	if (toc_digest)
		assert_string_equal(digest_format(&detected.toc_digest, text), toc_digest);
}

static void assert_refused(struct layer *layer, enum error_kind kind, const char *a, const char *b)
{
	struct detected_layer detected;
	struct error err = {0};

	layer->descriptor.annotations = layer->annotations;
	assert_int_equal(detect_layer(&layer->descriptor, &detected, &err), -1);
	if (err.kind != kind || !strstr(err.message, a) || !strstr(err.message, b))
		fail_msg("kind %d: %s", (int)err.kind, err.message);
}

static void layers_with_a_promise_are_of_the_format_of_their_media_type(void **state)
{
	(void)state;
	static const struct {
		const char *media_type;
		enum layer_format format;
		const char *name;
	} cases[] = {
		{GZIP, LAYER_FORMAT_ESTARGZ, "estargz"},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_FORMAT_ESTARGZ,
			"estargz"},
		{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
			LAYER_FORMAT_ESTARGZ, "estargz"},
		{ZSTD, LAYER_FORMAT_ZSTD_CHUNKED, "zstd-chunked"},
		{"application/vnd.docker.image.rootfs.diff.tar.zstd", LAYER_FORMAT_ZSTD_CHUNKED,
			"zstd-chunked"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layer layer = make_layer(cases[i].media_type);

		annotate(&layer, ESTARGZ_TOC_DIGEST_ANNOTATION, DIGEST);
		assert_is(&layer, cases[i].format, cases[i].name, DIGEST);
	}
}

static void the_digest_of_the_manifest_comes_before_that_of_its_json(void **state)
{
	(void)state;
	struct layer stargz = make_layer(ZSTD), containers = make_layer(ZSTD);

	annotate(&stargz, ESTARGZ_TOC_DIGEST_ANNOTATION, OTHER);
	annotate(&stargz, STARGZ_CHECKSUM, DIGEST);
	assert_is(&stargz, LAYER_FORMAT_ZSTD_CHUNKED, "zstd-chunked", DIGEST);
	annotate(&containers, ZSTD_CHUNKED_CHECKSUM_ANNOTATION, DIGEST);
	assert_is(&containers, LAYER_FORMAT_ZSTD_CHUNKED, "zstd-chunked", DIGEST);
}

static void layers_without_a_promise_have_no_table(void **state)
{
	(void)state;
	struct layer gzip = make_layer(GZIP), zstd = make_layer(ZSTD), tar = make_layer(TAR);
	struct layer position = make_layer(ZSTD);

	assert_is(&gzip, LAYER_FORMAT_GZIP, "gzip", NULL);
	assert_is(&zstd, LAYER_FORMAT_ZSTD, "zstd", NULL);
	assert_is(&tar, LAYER_FORMAT_TAR, "tar", NULL);
	annotate(&position, "io.containers.zstd-chunked.manifest-position", "500:100:200:1");
	assert_is(&position, LAYER_FORMAT_ZSTD, "zstd", NULL);
}

static void a_promise_that_is_no_digest_is_refused(void **state)
{
	(void)state;
	struct layer layer = make_layer(GZIP);

	annotate(&layer, ESTARGZ_TOC_DIGEST_ANNOTATION, "sha256:11");
	assert_refused(&layer, ERROR_FORMAT, ESTARGZ_TOC_DIGEST_ANNOTATION, "sha256:11");
}

static void media_types_and_annotations_that_exclude_each_other_are_named(void **state)
{
	(void)state;
	struct layer gzip = make_layer(GZIP), tar = make_layer(TAR), both = make_layer(GZIP);

	annotate(&gzip, STARGZ_CHECKSUM, DIGEST);
	assert_refused(&gzip, ERROR_FORMAT, GZIP, "zstd-chunked.manifest-checksum");
	annotate(&tar, ESTARGZ_TOC_DIGEST_ANNOTATION, DIGEST);
	assert_refused(&tar, ERROR_FORMAT, TAR, ESTARGZ_TOC_DIGEST_ANNOTATION);
	annotate(&both, ESTARGZ_TOC_DIGEST_ANNOTATION, DIGEST);
	annotate(&both, STARGZ_CHECKSUM, DIGEST);
	assert_refused(&both, ERROR_FORMAT, GZIP, "zstd-chunked.manifest-checksum");
}

static void other_media_types_are_named(void **state)
{
	(void)state;
	static const char *const media_types[] = {"application/octet-stream", "",
		"application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
		"application/vnd.oci.image.layer.v1.tar+zip"};

	for (size_t i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++) {
		struct layer layer = make_layer(media_types[i]);

		annotate(&layer, ESTARGZ_TOC_DIGEST_ANNOTATION, DIGEST);
		assert_refused(&layer, ERROR_UNSUPPORTED, "media type ", media_types[i]);
	}
}

static const uint8_t external_footer[] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 21, 0, 'S', 'G',
	17, 0, 'S', 'T', 'A', 'R', 'G', 'Z', 'E', 'X', 'T', 'E', 'R', 'N', 'A', 'L', 'T', 'O', 'C',
	1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};

static const uint8_t *zstd_chunked_footer(void)
{
	static uint8_t footer[ZSTD_CHUNKED_STARGZ_FOOTER_SIZE];

	le64_store(footer, 500);
	le64_store(footer + 8, 100);
	le64_store(footer + 16, 300);
	le64_store(footer + 24, 1);
	memcpy(footer + 32, "GnUlInUx", 8);
	return footer;
}

static int footer_of(const char *media_type, const uint8_t *tail, size_t size, bool *found,
	struct detected_footer *footer, struct error *err)
{
	struct layer layer = make_layer(media_type);

	return detect_footer(&layer.descriptor, tail, size, found, footer, err);
}

static void the_end_of_a_blob_leads_to_a_table_of_either_format(void **state)
{
	(void)state;
	static const uint8_t nothing[100];
	struct detected_footer footer;
	struct error err = {0};
	bool found;

	assert_int_equal(
		footer_of(GZIP, external_footer, sizeof(external_footer), &found, &footer, &err),
		0);
	assert_true(found);
	assert_int_equal(footer.format, LAYER_FORMAT_ESTARGZ);
	assert_int_equal(footer.estargz.kind, ESTARGZ_EXTERNAL);

	assert_int_equal(footer_of(ZSTD, zstd_chunked_footer(), ZSTD_CHUNKED_STARGZ_FOOTER_SIZE,
				 &found, &footer, &err),
		0);
	assert_true(found);
	assert_int_equal(footer.format, LAYER_FORMAT_ZSTD_CHUNKED);
	assert_int_equal(footer.zstd_chunked.off, 500);

	assert_int_equal(footer_of(GZIP, nothing, sizeof(nothing), &found, &footer, &err), 0);
	assert_false(found);
	assert_int_equal(footer_of(TAR, nothing, 0, &found, &footer, &err), 0);
	assert_false(found);
}

static void a_footer_that_contradicts_the_media_type_is_refused(void **state)
{
	(void)state;
	struct detected_footer footer;
	struct error err = {0};
	bool found;

	assert_int_equal(
		footer_of(ZSTD, external_footer, sizeof(external_footer), &found, &footer, &err),
		-1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, ZSTD));
	assert_non_null(strstr(err.message, "eStargz"));
	for (int i = 0; i < 2; i++) {
		const char *media_type = i ? GZIP : TAR;

		assert_int_equal(footer_of(media_type, zstd_chunked_footer(),
					 ZSTD_CHUNKED_STARGZ_FOOTER_SIZE, &found, &footer, &err),
			-1);
		assert_non_null(strstr(err.message, media_type));
		assert_non_null(strstr(err.message, "zstd:chunked"));
	}
}

/* What a blob of this kind begins with. */
static const char *const kinds[] = {"gzip", "zstd", "an uncompressed tar"};

static void make_head(const char *kind, uint8_t head[DETECT_HEAD_SIZE])
{
	memset(head, 0, DETECT_HEAD_SIZE);
	if (strcmp(kind, "gzip") == 0)
		memcpy(head, "\x1f\x8b\x08", 3);
	else if (strcmp(kind, "zstd") == 0)
		memcpy(head, "\x28\xb5\x2f\xfd", 4);
	else {
		memcpy(head, "\xe9tc/", 4);
		memcpy(head + 257, "ustar", 6);
		head[156] = '5';
	}
}

static void set_checksum(uint8_t head[DETECT_HEAD_SIZE], bool is_signed)
{
	int sum = 8 * ' ';

	for (int i = 0; i < DETECT_HEAD_SIZE; i++)
		sum += is_signed ? (int8_t)head[i] : head[i];
	(void)snprintf((char *)head + 148, 8, "%06o", (unsigned)sum & 0777777);
	head[155] = ' ';
}

static void the_beginning_of_a_blob_must_be_what_the_media_type_says(void **state)
{
	(void)state;
	static const char *const media_types[] = {GZIP, ZSTD, TAR};
	uint8_t head[DETECT_HEAD_SIZE];

	for (int i = 0; i < 3; i++) {
		struct layer layer = make_layer(media_types[i]);

		for (int j = 0; j < 3; j++) {
			struct error err = {0};
			int result;

			make_head(kinds[j], head);
			if (j == 2)
				set_checksum(head, false);
			result = detect_content(&layer.descriptor, head, sizeof(head), &err);
			assert_int_equal(result, i == j ? 0 : -1);
			if (i == j)
				continue;
			assert_int_equal(err.kind, ERROR_FORMAT);
			assert_non_null(strstr(err.message, media_types[i]));
			assert_non_null(strstr(err.message, kinds[j]));
		}
	}
}

static void every_frame_of_zstd_and_every_header_of_tar_is_known(void **state)
{
	(void)state;
	struct layer zstd = make_layer(ZSTD), tar = make_layer(TAR);
	uint8_t head[DETECT_HEAD_SIZE] = {0x50, 0x2a, 0x4d, 0x18};

	for (int i = 0; i < 16; i++) {
		head[0] = (uint8_t)(0x50 + i);
		assert_int_equal(detect_content(&zstd.descriptor, head, 8, NULL), 0);
	}
	head[0] = 0x60;
	assert_int_equal(detect_content(&zstd.descriptor, head, 8, NULL), -1);

	make_head("tar", head);
	set_checksum(head, true);
	assert_int_equal(detect_content(&tar.descriptor, head, sizeof(head), NULL), 0);
	head[150]++;
	assert_int_equal(detect_content(&tar.descriptor, head, sizeof(head), NULL), -1);
	memset(head, 0, sizeof(head));
	assert_int_equal(detect_content(&tar.descriptor, head, sizeof(head), NULL), 0);
}

static void a_beginning_of_nothing_known_is_refused(void **state)
{
	(void)state;
	struct layer layer = make_layer(GZIP), unknown = make_layer("application/zip");
	struct error err = {0};

	assert_int_equal(detect_content(&layer.descriptor, NULL, 0, &err), -1);
	assert_non_null(strstr(err.message, "neither gzip, zstd nor tar"));
	assert_int_equal(detect_content(&layer.descriptor, (const uint8_t *)"PK\3\4", 4, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(
		detect_content(&unknown.descriptor, (const uint8_t *)"PK\3\4", 4, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_with_a_promise_are_of_the_format_of_their_media_type),
		cmocka_unit_test(the_digest_of_the_manifest_comes_before_that_of_its_json),
		cmocka_unit_test(layers_without_a_promise_have_no_table),
		cmocka_unit_test(a_promise_that_is_no_digest_is_refused),
		cmocka_unit_test(media_types_and_annotations_that_exclude_each_other_are_named),
		cmocka_unit_test(other_media_types_are_named),
		cmocka_unit_test(the_end_of_a_blob_leads_to_a_table_of_either_format),
		cmocka_unit_test(a_footer_that_contradicts_the_media_type_is_refused),
		cmocka_unit_test(the_beginning_of_a_blob_must_be_what_the_media_type_says),
		cmocka_unit_test(every_frame_of_zstd_and_every_header_of_tar_is_known),
		cmocka_unit_test(a_beginning_of_nothing_known_is_refused),
	};
	return cmocka_run_group_tests_name("format/detect", tests, NULL, NULL);
}
