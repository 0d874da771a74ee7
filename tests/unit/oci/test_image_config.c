/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image_config.h"

#include "support/test.h"

#include <string.h>

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void digests_of_layers_are_read(void **state)
{
	(void)state;
	static const char text[] =
		"{\"architecture\": \"amd64\", \"config\": {}, \"rootfs\": "
		"{\"type\": \"layers\", \"diff_ids\": [\"" DIGEST "\", \"" DIGEST "\"]}}";
	CLEANUP(image_config_clear) struct image_config config = {0};
	char digest[DIGEST_TEXT_SIZE];
	struct error err;

	assert_int_equal(image_config_parse(text, strlen(text), &config, &err), 0);
	assert_int_equal(config.n_diff_ids, 2);
	assert_string_equal(digest_format(&config.diff_ids[1], digest), DIGEST);
}

static void an_image_may_have_no_layers(void **state)
{
	(void)state;
	const char *const texts[] = {"{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": null}}",
		"{\"rootfs\": {\"type\": \"layers\"}}", "{\"rootfs\": {\"diff_ids\": []}}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CLEANUP(image_config_clear) struct image_config config = {0};
		struct error err;

		assert_int_equal(image_config_parse(texts[i], strlen(texts[i]), &config, &err), 0);
		assert_int_equal(config.n_diff_ids, 0);
	}
}

static void what_breaks_the_form_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum error_kind kind;
		const char *says;
	} cases[] = {
		{"", ERROR_FORMAT, "line 1"},
		{"[]", ERROR_FORMAT, "\"rootfs\""},
		{"{}", ERROR_FORMAT, "\"rootfs\" is missing"},
		{"{\"rootfs\": []}", ERROR_FORMAT, "\"rootfs\""},
		{"{\"rootfs\": {\"type\": \"zfs\"}}", ERROR_UNSUPPORTED, "\"zfs\""},
		{"{\"rootfs\": {\"diff_ids\": {}}}", ERROR_FORMAT, "\"diff_ids\" is not an array"},
		{"{\"rootfs\": {\"diff_ids\": [\"" DIGEST "\", 1]}}", ERROR_FORMAT,
			"\"diff_ids\"[1]"},
		{"{\"rootfs\": {\"diff_ids\": [\"sha256:12\"]}}", ERROR_FORMAT, "\"diff_ids\"[0]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image_config config;
		struct error err = {0};

		assert_int_equal(
			image_config_parse(cases[i].text, strlen(cases[i].text), &config, &err),
			-1);
		if (err.kind != cases[i].kind || !strstr(err.message, cases[i].says))
			fail_msg("no \"%s\" in: %s", cases[i].says, err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_of_layers_are_read),
		cmocka_unit_test(an_image_may_have_no_layers),
		cmocka_unit_test(what_breaks_the_form_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
