/* SPDX-License-Identifier: Apache-2.0 */
/* Where manifest and tar-split are: what annotations and footers say of it. */
#include "format/zstd_chunked.h"

#include "support/test.h"

#include <string.h>

#include "base/bytes.h"
#include "format/estargz.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define CONTAINERS "io.github.containers.zstd-chunked."
#define STARGZ "io.containers.zstd-chunked."

/* A layer descriptor that lives in its arguments. */
struct layer {
	struct annotation annotations[4];
	struct descriptor descriptor;
};

static void annotate(struct layer *layer, const char *key, const char *value)
{
	layer->annotations[layer->descriptor.n_annotations++] =
		(struct annotation){.key = (char *)key, .value = (char *)value};
	layer->descriptor.annotations = layer->annotations;
	layer->descriptor.size = 10000;
}

static void assert_promises(const struct layer *layer, bool manifest, bool toc, bool position)
{
	struct zstd_chunked_promise promise;
	struct error err = {0};
	char text[DIGEST_TEXT_SIZE];

	if (zstd_chunked_promise_parse(&layer->descriptor, &promise, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(promise.has_manifest_digest, manifest);
	assert_int_equal(promise.has_toc_digest, toc);
	assert_int_equal(promise.has_position, position);
	if (manifest)
		assert_string_equal(digest_format(&promise.manifest_digest, text), D1);
	if (toc)
		assert_string_equal(digest_format(&promise.toc_digest, text), D2);
	if (!position)
		return;
	assert_int_equal(promise.position.off, 9008);
	assert_int_equal(promise.position.size, 500);
	assert_int_equal(promise.position.json_size, 3000);
}

static void annotations_are_read_under_the_names_of_both_writers(void **state)
{
	(void)state;
	struct layer none = {0}, containers = {0}, stargz = {0}, mixed = {0}, both = {0};

	assert_promises(&none, false, false, false);
	annotate(&containers, CONTAINERS "manifest-checksum", D1);
	annotate(&containers, CONTAINERS "manifest-position", "9008:500:3000:1");
	assert_promises(&containers, true, false, true);
	annotate(&stargz, STARGZ "manifest-checksum", D1);
	annotate(&stargz, STARGZ "manifest-position", "9008:500:3000:1");
	annotate(&stargz, ESTARGZ_TOC_DIGEST_ANNOTATION, D2);
	assert_promises(&stargz, true, true, true);
	annotate(&mixed, CONTAINERS "manifest-checksum", D1);
	annotate(&mixed, STARGZ "manifest-position", "9008:500:3000:1");
	assert_promises(&mixed, true, false, true);
	annotate(&both, CONTAINERS "manifest-checksum", D1);
	annotate(&both, STARGZ "manifest-checksum", D1);
	assert_promises(&both, true, false, false);
}

static void assert_breaks_promise(
	const char *key, const char *value, enum error_kind kind, const char *words)
{
	struct zstd_chunked_promise promise;
	struct error err = {0};
	struct layer layer = {0};

	annotate(&layer, CONTAINERS "manifest-checksum", D1);
	annotate(&layer, STARGZ "manifest-position", "9008:500:3000:1");
	annotate(&layer, key, value);
	assert_int_equal(zstd_chunked_promise_parse(&layer.descriptor, &promise, &err), -1);
	if (err.kind != kind || !strstr(err.message, words))
		fail_msg("%s %s: %s", key, value, err.message);
}

static void annotations_that_contradict_each_other_are_refused(void **state)
{
	(void)state;
	assert_breaks_promise(STARGZ "manifest-checksum", D2, ERROR_FORMAT, "contradict");
	assert_breaks_promise(
		CONTAINERS "manifest-position", "9008:501:3000:1", ERROR_FORMAT, "contradict");
	assert_breaks_promise(ESTARGZ_TOC_DIGEST_ANNOTATION, D2, ERROR_FORMAT,
		"two tables of contents for one layer");
}

static int promise_tar_split(const char *text, struct zstd_chunked_promise *out, struct error *err)
{
	struct layer layer = {0};

	annotate(&layer, STARGZ "manifest-position", "9000:500:3000:1");
	annotate(&layer, CONTAINERS "tarsplit-position", text);
	return zstd_chunked_promise_parse(&layer.descriptor, out, err);
}

static void manifest_and_tar_split_are_one_stretch_of_the_blob(void **state)
{
	(void)state;
	struct zstd_chunked_promise promise;
	struct error err = {0};
	struct layer lonely = {0};

	assert_int_equal(promise_tar_split("9508:400:20000", &promise, &err), 0);
	assert_int_equal(promise.position.tar_split_off, 9508);
	assert_int_equal(promise.position.tar_split_size, 400);
	assert_int_equal(zstd_chunked_stretch(&promise.position), 908);
	/* Other writers may put something between them. */
	assert_int_equal(promise_tar_split("9600:400:20000", &promise, &err), 0);
	assert_int_equal(zstd_chunked_stretch(&promise.position), 1000);
	assert_int_equal(promise_tar_split("0:0:0", &promise, &err), 0);
	assert_int_equal(zstd_chunked_stretch(&promise.position), 500);
	/* The footer will tell. */
	annotate(&lonely, CONTAINERS "tarsplit-position", "1:2:3");
	assert_promises(&lonely, false, false, false);
}

static void tar_splits_that_cannot_be_are_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "9508:400", "9508:400:20000:1", "9508:-1:20000",
		"9507:400:20000", "9000:500:3000", "0:400:20000", "9508:0:20000", "9508:493:20000",
		"10000:1:1", "9508:18446744073709551615:1", "18446744073709551615:2:1",
		"9508:400:157286401"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct zstd_chunked_promise promise;
		struct error err = {0};

		assert_int_equal(promise_tar_split(texts[i], &promise, &err), -1);
		if (err.kind != ERROR_FORMAT || !strstr(err.message, "tarsplit-position"))
			fail_msg("%s: %s", texts[i], err.message);
	}
}

static void manifest_and_tar_split_have_a_limit_in_common(void **state)
{
	(void)state;
	struct zstd_chunked_promise promise;
	struct error err = {0};
	struct layer layer = {0};

	annotate(&layer, STARGZ "manifest-position", "8:104857600:104857600:1");
	annotate(&layer, CONTAINERS "tarsplit-position", "104857616:52428793:52428793");
	layer.descriptor.size = UINT64_C(1) << 40;
	assert_int_equal(zstd_chunked_promise_parse(&layer.descriptor, &promise, &err), -1);
	assert_non_null(strstr(err.message, "take 157286401 bytes"));
}

static void malformed_annotations_are_named(void **state)
{
	(void)state;
	static const char *const positions[] = {"", "1", "9008:500:3000",
		"9008:500:3000:1:", "9008:500:3000:1:1", "9008::3000:1", "-9008:500:3000:1",
		"+9008:500:3000:1", " 9008:500:3000:1", "9008:500:3000:1 ", "0x9:500:3000:1",
		"18446744073709551616:500:3000:1", "99999999999999999999999999:500:3000:1"};
	struct error err = {0};

	for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		struct zstd_chunked_promise promise;
		struct layer layer = {0};

		annotate(&layer, CONTAINERS "manifest-position", positions[i]);
		assert_int_equal(zstd_chunked_promise_parse(&layer.descriptor, &promise, &err), -1);
		if (!strstr(err.message, CONTAINERS "manifest-position is not offset:size"))
			fail_msg("%s: %s", positions[i], err.message);
	}
	for (int i = 0; i < 2; i++) {
		const char *key = i ? STARGZ "manifest-checksum" : ESTARGZ_TOC_DIGEST_ANNOTATION;
		struct zstd_chunked_promise promise;
		struct layer layer = {0};

		annotate(&layer, key, "sha256:11");
		assert_int_equal(zstd_chunked_promise_parse(&layer.descriptor, &promise, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_non_null(strstr(err.message, key));
	}
}

static void positions_that_cannot_be_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum error_kind kind;
	} cases[] = {
		{"9008:500:3000:2", ERROR_UNSUPPORTED},
		{"7:500:3000:1", ERROR_FORMAT},
		{"0:500:3000:1", ERROR_FORMAT},
		{"9008:0:3000:1", ERROR_FORMAT},
		{"9008:993:3000:1", ERROR_FORMAT},
		{"18446744073709551615:2:3000:1", ERROR_FORMAT},
		{"9008:18446744073709551615:3000:1", ERROR_FORMAT},
		{"9008:500:157286401:1", ERROR_FORMAT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct zstd_chunked_promise promise;
		struct error err = {0};
		struct layer layer = {0};

		annotate(&layer, STARGZ "manifest-position", cases[i].text);
		assert_int_equal(zstd_chunked_promise_parse(&layer.descriptor, &promise, &err), -1);
		if (err.kind != cases[i].kind || !strstr(err.message, STARGZ "manifest-position"))
			fail_msg("%s: %s", cases[i].text, err.message);
	}
}

/* Both footers; only the longer one goes on with the tar-split's numbers. */
static size_t make_footer(uint8_t *out, bool is_long, uint64_t off, uint64_t size)
{
	size_t footer_size = is_long ? ZSTD_CHUNKED_FOOTER_SIZE : ZSTD_CHUNKED_STARGZ_FOOTER_SIZE;

	memset(out, 0, footer_size);
	le64_store(out, off);
	le64_store(out + 8, size);
	le64_store(out + 16, 3000);
	le64_store(out + 24, 1);
	memcpy(out + footer_size - 8, is_long ? "GNUlInUx" : "GnUlInUx", 8);
	return footer_size;
}

static void both_footers_say_where_the_manifest_is(void **state)
{
	(void)state;
	uint8_t tail[100];

	memset(tail, 0xff, sizeof(tail));
	for (int is_long = 0; is_long < 2; is_long++) {
		struct zstd_chunked_position position;
		struct error err = {0};
		bool found;
		size_t size = make_footer(tail + 36, is_long, 9008, 500);

		assert_int_equal(
			zstd_chunked_footer_parse(tail, 36 + size, 10000, &found, &position, &err),
			0);
		assert_true(found);
		assert_int_equal(position.off, 9008);
		assert_int_equal(position.size, 500);
		assert_int_equal(position.json_size, 3000);
		/* Cut at its beginning, at its end, and all of the blob. */
		assert_int_equal(zstd_chunked_footer_parse(
					 tail + 37, size - 1, 10000, &found, &position, &err),
			0);
		assert_false(found);
		assert_int_equal(
			zstd_chunked_footer_parse(tail, 35 + size, 10000, &found, &position, &err),
			0);
		assert_false(found);
		assert_int_equal(
			zstd_chunked_footer_parse(tail + 36, size, size, &found, &position, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
	}
}

static void the_long_footer_says_where_the_tar_split_is(void **state)
{
	(void)state;
	static const struct {
		uint64_t off, size, decoded_size;
		bool is_accepted;
	} cases[] = {
		{9508, 400, 9000, true},
		{0, 0, 0, true},
		{9508, 429, 9000, false}, /* into the footer */
		{9507, 400, 9000, false},
		{9508, 0, 9000, false},
		{UINT64_MAX, UINT64_MAX, 1, false},
		{9508, 400, UINT64_MAX, false},
	};
	uint8_t tail[ZSTD_CHUNKED_FOOTER_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct zstd_chunked_position position;
		struct error err = {0};
		bool found;
		int result;

		(void)make_footer(tail, true, 9000, 500);
		le64_store(tail + 32, cases[i].off);
		le64_store(tail + 40, cases[i].size);
		le64_store(tail + 48, cases[i].decoded_size);
		result = zstd_chunked_footer_parse(
			tail, sizeof(tail), 10000, &found, &position, &err);
		assert_int_equal(result, cases[i].is_accepted ? 0 : -1);
		assert_int_equal(found, cases[i].is_accepted);
		if (result == 0)
			assert_int_equal(position.tar_split_size, cases[i].size);
		else
			assert_non_null(strstr(err.message, "zstd:chunked footer: a "));
	}
}

static void a_footer_that_points_outside_is_refused(void **state)
{
	(void)state;
	uint8_t tail[ZSTD_CHUNKED_FOOTER_SIZE];

	for (int is_long = 0; is_long < 2; is_long++) {
		struct zstd_chunked_position position;
		struct error err = {0};
		bool found;
		size_t size = make_footer(tail, is_long, 10000 - 500, 500);

		assert_int_equal(
			zstd_chunked_footer_parse(tail, size, 10000, &found, &position, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_non_null(strstr(err.message, "zstd:chunked footer"));
		(void)make_footer(tail, is_long, UINT64_MAX, 2);
		assert_int_equal(
			zstd_chunked_footer_parse(tail, size, 10000, &found, &position, &err), -1);
		assert_false(found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(annotations_are_read_under_the_names_of_both_writers),
		cmocka_unit_test(annotations_that_contradict_each_other_are_refused),
		cmocka_unit_test(manifest_and_tar_split_are_one_stretch_of_the_blob),
		cmocka_unit_test(tar_splits_that_cannot_be_are_refused),
		cmocka_unit_test(manifest_and_tar_split_have_a_limit_in_common),
		cmocka_unit_test(malformed_annotations_are_named),
		cmocka_unit_test(positions_that_cannot_be_are_refused),
		cmocka_unit_test(both_footers_say_where_the_manifest_is),
		cmocka_unit_test(the_long_footer_says_where_the_tar_split_is),
		cmocka_unit_test(a_footer_that_points_outside_is_refused),
	};
	return cmocka_run_group_tests_name("format/zstd_chunked_place", tests, NULL, NULL);
}
