/* SPDX-License-Identifier: Apache-2.0 */
#include "format/soci_index.h"

#include "support/test.h"

#include <string.h>

#include "base/bytes.h"

#define HEX(digit)                                                                                 \
	digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit  \
		digit digit digit digit digit digit digit digit digit digit digit digit digit      \
			digit digit digit digit digit digit digit digit digit digit digit digit    \
				digit digit digit digit digit digit digit digit digit digit digit  \
					digit digit digit digit digit digit digit digit digit      \
						digit digit digit digit
#define DIGEST(digit) "sha256:" HEX(digit)
#define CONFIG(type)                                                                               \
	"\"config\":{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST("4") "\",\"size\":2}"
#define ZTOC(digit, layer, more)                                                                   \
	"{\"mediaType\":\"application/octet-stream\",\"digest\":\"" DIGEST(                        \
		digit) "\",\"size\":5000,\"annotations\":{\"com.amazon.soci.image-layer-digest\":" \
		       "\"" layer "\"" more "}}"
#define SUBJECT                                                                                    \
	"\"subject\":{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST                                    \
	"\",\"digest\":\"" DIGEST("a") "\",\"size\":700},"
#define INDEX(members, layers)                                                                     \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\"," members              \
	",\"layers\":[" layers "]}"

static struct digest digest_of(char digit)
{
	struct digest digest = {.algorithm = DIGEST_SHA256};
	int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;

	memset(digest.bytes, value << 4 | value, 32);
	return digest;
}

static int parse(
	const char *text, const struct digest *image, struct soci_index **out, struct error *err)
{
	return soci_index_parse(text, strlen(text), image, out, err);
}

static void the_ztoc_of_a_layer_is_found_by_the_layers_digest(void **state)
{
	(void)state;
	static const char text[] = INDEX(CONFIG(SOCI_INDEX_V2),
		ZTOC("1", DIGEST("b"),
			",\"com.amazon.soci.image-layer-mediaType\":\"application/x\","
			"\"com.amazon.soci.disable-xattrs\":\"true\"") "," ZTOC("2", DIGEST("c"),
			",\"com.amazon.soci.disable-xattrs\":\"yes\""));
	struct digest one = digest_of('1'), two = digest_of('2');
	struct digest b = digest_of('b'), c = digest_of('c'), d = digest_of('d');
	struct soci_index *index;
	const struct soci_layer *layer;
	struct error err = {0};

	if (parse(text, &d, &index, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(index->version, 2);
	assert_false(index->has_subject);
	layer = soci_index_find(index, &b);
	assert_non_null(layer);
	assert_true(digest_equal(&layer->ztoc.digest, &one));
	assert_int_equal(layer->ztoc.size, 5000);
	assert_string_equal(layer->layer_media_type, "application/x");
	assert_true(layer->has_no_xattrs);
	layer = soci_index_find(index, &c);
	assert_non_null(layer);
	assert_true(digest_equal(&layer->ztoc.digest, &two));
	assert_null(layer->layer_media_type);
	assert_false(layer->has_no_xattrs);
	assert_null(soci_index_find(index, &d));
	soci_index_free(index);
	soci_index_free(NULL);
}

static void version_1_names_the_image_that_it_is_of(void **state)
{
	(void)state;
	static const char text[] = INDEX(SUBJECT CONFIG(SOCI_INDEX_V1), ZTOC("1", DIGEST("b"), ""));
	struct digest image = digest_of('a'), other = digest_of('e');
	struct soci_index *index = NULL;
	struct error err = {0};

	assert_int_equal(parse(text, &image, &index, &err), 0);
	assert_int_equal(index->version, 1);
	assert_true(index->has_subject && digest_equal(&index->subject, &image));
	soci_index_freep(&index);
	assert_int_equal(parse(text, NULL, &index, &err), 0);
	soci_index_freep(&index);

	assert_int_equal(parse(text, &other, &index, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "index of another image, " DIGEST("a")));
	assert_null(index);
}

static void other_artifacts_and_a_layer_that_is_there_twice_do_no_harm(void **state)
{
	(void)state;
	static const char text[] = INDEX(CONFIG(SOCI_INDEX_V2),
		"{\"mediaType\":\"application/vnd.amazon.soci.prefetch.v1+json\",\"digest\":"
		"\"" DIGEST("9") "\",\"size\":80}," ZTOC("1", DIGEST("b"), "") "," ZTOC(
			"1", DIGEST("b"), ""));
	struct soci_index *index;
	struct error err = {0};

	if (parse(text, NULL, &index, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(index->n_layers, 1);
	soci_index_free(index);
}

static void what_is_no_index_is_refused_with_its_reason(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *words;
		enum error_kind kind;
	} cases[] = {
		{"", "SOCI index: ", ERROR_FORMAT},
		{INDEX(CONFIG("application/vnd.oci.image.config.v1+json"), ""),
			"its configuration is application/vnd.oci.image.config.v1+json",
			ERROR_UNSUPPORTED},
		{INDEX(CONFIG(SOCI_INDEX_V2), ZTOC("1", "sha256:1", "")),
			"\"layers\"[0]: annotation com.amazon.soci.image-layer-digest",
			ERROR_FORMAT},
		{INDEX(CONFIG(SOCI_INDEX_V2),
			 "{\"mediaType\":\"application/octet-stream\",\"digest\":\"" DIGEST(
				 "1") "\",\"size\":1}"),
			"no annotation com.amazon.soci.image-layer-digest", ERROR_FORMAT},
		{INDEX(CONFIG(SOCI_INDEX_V2),
			 ZTOC("1", DIGEST("b"), "") "," ZTOC("2", DIGEST("b"), "")),
			"\"layers\"[1]: another ztoc for layer " DIGEST("b"), ERROR_FORMAT},
		{INDEX("\"subject\":7," CONFIG(SOCI_INDEX_V1), ""), "\"subject\"", ERROR_FORMAT},
		{"{\"schemaVersion\":2,\"manifests\":[]}", "index where an image manifest",
			ERROR_FORMAT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct soci_index *index = NULL;
		struct error err = {0};

		assert_int_equal(parse(cases[i].text, NULL, &index, &err), -1);
		if (!strstr(err.message, cases[i].words))
			fail_msg("\"%s\" lacks \"%s\"", err.message, cases[i].words);
		assert_int_equal(err.kind, cases[i].kind);
		assert_null(index);
	}
}

/* -1 for an error. */
static int discover(const char *label, const char *annotation, bool allow_v1, struct digest *digest)
{
	struct annotation annotations[] = {
		{(char *)"other", (char *)"sha256:no"},
		{(char *)SOCI_INDEX_DIGEST_ANNOTATION, (char *)annotation},
	};
	struct manifest manifest = {
		.annotations = annotations, .n_annotations = annotation ? 2 : 1};
	enum soci_discovery found = SOCI_DISCOVERY_NONE;
	struct error err = {0};

	if (soci_discover(label, &manifest, allow_v1, &found, digest, &err) < 0) {
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_non_null(strstr(err.message, label ? "label " : "annotation "));
		return -1;
	}
	return (int)found;
}

static void a_label_comes_before_an_annotation_and_that_before_referrers(void **state)
{
	(void)state;
	struct digest found, a = digest_of('a'), b = digest_of('b');

	assert_int_equal(discover(DIGEST("a"), DIGEST("b"), true, &found), SOCI_DISCOVERY_DIGEST);
	assert_true(digest_equal(&found, &a));
	assert_int_equal(discover(NULL, DIGEST("b"), false, &found), SOCI_DISCOVERY_DIGEST);
	assert_true(digest_equal(&found, &b));
	assert_int_equal(discover(NULL, NULL, true, &found), SOCI_DISCOVERY_REFERRERS);
	assert_int_equal(discover(NULL, NULL, false, &found), SOCI_DISCOVERY_NONE);
	assert_int_equal(discover("sha256:0", DIGEST("b"), true, &found), -1);
	assert_int_equal(discover(NULL, "", true, &found), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ztoc_of_a_layer_is_found_by_the_layers_digest),
		cmocka_unit_test(version_1_names_the_image_that_it_is_of),
		cmocka_unit_test(other_artifacts_and_a_layer_that_is_there_twice_do_no_harm),
		cmocka_unit_test(what_is_no_index_is_refused_with_its_reason),
		cmocka_unit_test(a_label_comes_before_an_annotation_and_that_before_referrers),
	};
	return cmocka_run_group_tests_name("format/soci_index", tests, NULL, NULL);
}
