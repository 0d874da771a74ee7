/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal_internal.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

/* What is printed to a screen of this width. */
struct capture {
	struct screen screen;
	char *text;
	size_t size;
};

static void capture_begin(struct capture *capture, unsigned width, bool colours)
{
	capture->screen = (struct screen){
		.out = open_memstream(&capture->text, &capture->size),
		.width = width,
		.colours = colours,
	};
	assert_non_null(capture->screen.out);
}

static const char *capture_end(struct capture *capture)
{
	assert_int_equal(fclose(capture->screen.out), 0);
	return capture->text;
}

static void control_characters_of_others_reach_no_terminal(void **state)
{
	static const struct {
		const char *text;
		const char *shown;
	} rows[] = {
		{"plain", "plain"},
		{"a\nb\tc", "a\\nb\\tc"},
		{"\033[2Jgone", "\\x1b[2Jgone"},
		{"\177", "\\x7f"},
		{"\302\233m", "\\xc2\\x9bm"},
		{"\303\274", "\303\274"},
		{"\342\200\256txt.exe", "\\xe2\\x80\\xaetxt.exe"},
		{"\342\201\246x", "\\xe2\\x81\\xa6x"},
		{"\342\202\254", "\342\202\254"},
		{"\302", "\302"},
		{"\342\200", "\342\200"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct capture capture;

		capture_begin(&capture, 80, false);
		screen_put(&capture.screen, STYLE_BAD, "%s", rows[i].text);
		assert_string_equal(capture_end(&capture), rows[i].shown);
		free(capture.text);
	}
}

static void styles_are_seen_only_with_colours(void **state)
{
	struct capture capture;

	(void)state;
	capture_begin(&capture, 80, true);
	screen_put(&capture.screen, STYLE_BAD, "x");
	screen_put(&capture.screen, STYLE_PLAIN, "y");
	assert_string_equal(capture_end(&capture), "\033[31mx\033[0my");
	free(capture.text);
}

static void a_file_has_neither_colours_nor_a_width_of_its_own(void **state)
{
	FILE *file = tmpfile();
	struct screen screen;

	(void)state;
	assert_non_null(file);
	screen = screen_on(file);
	assert_false(screen.colours);
	assert_int_equal(screen.width, 80);
	(void)fclose(file);
}

static void words_are_wrapped_under_their_column(void **state)
{
	struct capture capture;

	(void)state;
	capture_begin(&capture, 16, false);
	screen_put(&capture.screen, STYLE_PLAIN, "why: ");
	screen_wrap(&capture.screen, 5, STYLE_PLAIN, "one two three averyverylongword x");
	assert_string_equal(capture_end(&capture),
		"why: one two\n     three\n     averyverylongword\n     x\n");
	free(capture.text);
}

static void digests_are_shortened_and_other_texts_are_not(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(digest_short("sha256:0123456789abcdef", out), "0123456789ab");
	assert_string_equal(digest_short("sha256:0123", out), "sha256:0123");
	assert_string_equal(digest_short("", out), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_of_others_reach_no_terminal),
		cmocka_unit_test(styles_are_seen_only_with_colours),
		cmocka_unit_test(a_file_has_neither_colours_nor_a_width_of_its_own),
		cmocka_unit_test(words_are_wrapped_under_their_column),
		cmocka_unit_test(digests_are_shortened_and_other_texts_are_not),
	};

	return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
