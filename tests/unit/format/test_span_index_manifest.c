/* SPDX-License-Identifier: Apache-2.0 */
#include "format/span_index_manifest.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "format/span_index_file.h"
#include "oci/manifest.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_EMPTY "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define CONFIG                                                                                     \
	"\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":"              \
	"\"sha256:" HEX_EMPTY "\",\"size\":2}"
#define TYPE "\"artifactType\":\"application/vnd.varve.layer-index.v1+json\""
#define LAYER(type, hex, size, of)                                                                 \
	"{\"mediaType\":\"" type "\",\"digest\":\"sha256:" hex "\",\"size\":" size                 \
	",\"annotations\":{" of "}}"
#define OF(hex) "\"dev.varve.layer-index.layer-digest\":\"sha256:" hex "\""
#define INDEX "application/vnd.varve.layer-index.v1"
#define SUBJECT                                                                                    \
	"\"subject\":{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\",\"digest\":\"sha256:" HEX_A    \
	"\",\"size\":7}"
#define DOCUMENT(type, layers, subject)                                                            \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\"," type "," CONFIG      \
	",\"layers\":[" layers "]," subject "}"

static const char whole[] = DOCUMENT(
	TYPE, LAYER(INDEX, HEX_A, "5", OF(HEX_B)) "," LAYER(INDEX, HEX_B, "6", OF(HEX_A)), SUBJECT);

static struct digest digest_of(const char *hex)
{
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	(void)snprintf(text, sizeof(text), "sha256:%s", hex);
	assert_int_equal(digest_parse(text, &digest, NULL), 0);
	return digest;
}

static void what_is_written_is_the_documented_form(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	struct descriptor subject = {.media_type = (char *)MEDIA_TYPE_OCI_MANIFEST,
		.digest = digest_of(HEX_A),
		.size = 7};
	struct span_index_layer layers[] = {
		{digest_of(HEX_B), {.digest = digest_of(HEX_A), .size = 5}},
		{digest_of(HEX_A), {.digest = digest_of(HEX_B), .size = 6}},
	};
	struct error err = {0};

	assert_int_equal(span_index_manifest_write(&subject, layers, 2, &out, &err), 0);
	assert_string_equal((const char *)out.data, whole);
}

static void the_empty_configuration_has_its_digest(void **state)
{
	(void)state;
	struct descriptor config;
	struct error err = {0};

	span_index_config(&config);
	assert_int_equal(config.size, strlen(OCI_EMPTY_BLOB));
	assert_int_equal(digest_check(&config.digest, OCI_EMPTY_BLOB, config.size, &err), 0);
}

static void an_artifact_says_which_index_is_of_which_layer(void **state)
{
	(void)state;
	struct span_index_manifest *manifest = NULL;
	struct digest subject = digest_of(HEX_A);
	struct digest layer = digest_of(HEX_B);
	struct digest other = digest_of(HEX_EMPTY);
	struct error err = {0};

	if (span_index_manifest_parse(whole, strlen(whole), &subject, &manifest, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(digest_equal(&manifest->subject, &subject));
	assert_int_equal(manifest->n_layers, 2);
	assert_int_equal(span_index_manifest_find(manifest, &layer)->size, 5);
	assert_int_equal(span_index_manifest_find(manifest, &subject)->size, 6);
	assert_null(span_index_manifest_find(manifest, &other));
	span_index_manifest_free(manifest);
	span_index_manifest_free(NULL);
}

static void layers_of_later_kinds_are_left_out(void **state)
{
	(void)state;
	static const char text[] = DOCUMENT(TYPE,
		LAYER("application/vnd.varve.layer-index.v2", HEX_A, "5", OF(HEX_B)) "," LAYER(
			INDEX, HEX_B, "6", OF(HEX_A)),
		SUBJECT);
	struct span_index_manifest *manifest = NULL;
	struct error err = {0};

	assert_int_equal(span_index_manifest_parse(text, strlen(text), NULL, &manifest, &err), 0);
	assert_int_equal(manifest->n_layers, 1);
	span_index_manifest_free(manifest);
}

static void what_is_wrong_is_refused_with_its_reason(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum error_kind kind;
		const char *says;
	} cases[] = {
		{"{", ERROR_FORMAT, "manifest of layer indexes"},
		{DOCUMENT("\"artifactType\":\"a/b\"", "", SUBJECT), ERROR_UNSUPPORTED,
			"it is a a/b"},
		{DOCUMENT("\"a\":1", "", SUBJECT), ERROR_UNSUPPORTED, "vnd.oci.empty"},
		{DOCUMENT(TYPE, "", "\"a\":1"), ERROR_FORMAT, "\"subject\""},
		{DOCUMENT(TYPE, LAYER(INDEX, HEX_A, "5", ""), SUBJECT), ERROR_FORMAT,
			"\"layers\"[0]: it has no annotation"},
		{DOCUMENT(TYPE, LAYER(INDEX, HEX_A, "5", OF("12")), SUBJECT), ERROR_FORMAT,
			"layer-digest"},
		{DOCUMENT(TYPE, LAYER(INDEX, HEX_A, "67108865", OF(HEX_A)), SUBJECT), ERROR_FORMAT,
			"67108865 bytes"},
		{DOCUMENT(TYPE,
			 LAYER(INDEX, HEX_A, "5", OF(HEX_A)) "," LAYER(
				 INDEX, HEX_B, "5", OF(HEX_A)),
			 SUBJECT),
			ERROR_FORMAT, "\"layers\"[1]: a second index"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span_index_manifest *manifest = NULL;
		struct error err = {0};

		assert_int_equal(span_index_manifest_parse(cases[i].text, strlen(cases[i].text),
					 NULL, &manifest, &err),
			-1);
		if (err.kind != cases[i].kind || !strstr(err.message, cases[i].says))
			fail_msg("%zu: kind %d, %s", i, (int)err.kind, err.message);
	}
}

static void the_artifact_of_another_image_is_refused_and_both_are_named(void **state)
{
	(void)state;
	struct span_index_manifest *manifest = NULL;
	struct digest subject = digest_of(HEX_B);
	struct error err = {0};

	assert_int_equal(
		span_index_manifest_parse(whole, strlen(whole), &subject, &manifest, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, HEX_A));
	assert_non_null(strstr(err.message, HEX_B));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_the_documented_form),
		cmocka_unit_test(the_empty_configuration_has_its_digest),
		cmocka_unit_test(an_artifact_says_which_index_is_of_which_layer),
		cmocka_unit_test(layers_of_later_kinds_are_left_out),
		cmocka_unit_test(what_is_wrong_is_refused_with_its_reason),
		cmocka_unit_test(the_artifact_of_another_image_is_refused_and_both_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
