/* SPDX-License-Identifier: Apache-2.0 */
/* Times in the form of RFC 3339. */
#include "timestamp_internal.h"

/* What is still to be read. */
struct cursor {
	const char *at;
	const char *end;
};

static bool take_char(struct cursor *cursor, char wanted)
{
	if (cursor->at == cursor->end || *cursor->at != wanted)
		return false;
	cursor->at++;
	return true;
}

static bool is_digit(const struct cursor *cursor)
{
	return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

/* Between least and most digits. */
static bool take_number(struct cursor *cursor, int least, int most, int64_t *out)
{
	int64_t value = 0;
	int n = 0;

	for (; n < most && is_digit(cursor); n++)
		value = value * 10 + (*cursor->at++ - '0');
	*out = value;
	return n >= least;
}

static bool take_range(struct cursor *cursor, int64_t low, int64_t high, int64_t *out)
{
	return take_number(cursor, 2, 2, out) && *out >= low && *out <= high;
}

static bool take_fraction(struct cursor *cursor, uint32_t *nanoseconds)
{
	uint32_t scale = 100000000;

	*nanoseconds = 0;
	if (!take_char(cursor, '.') && !take_char(cursor, ','))
		return true;
	if (!is_digit(cursor))
		return false;
	for (; is_digit(cursor); cursor->at++, scale /= 10)
		*nanoseconds += (uint32_t)(*cursor->at - '0') * scale;
	return true;
}

/* Seconds east of UTC. */
static bool take_zone(struct cursor *cursor, int64_t *offset)
{
	int64_t hours, minutes;
	bool is_west;

	*offset = 0;
	if (take_char(cursor, 'Z') || take_char(cursor, 'z'))
		return true;
	is_west = take_char(cursor, '-');
	if (!is_west && !take_char(cursor, '+'))
		return false;
	if (!take_range(cursor, 0, 23, &hours) || !take_char(cursor, ':') ||
		!take_range(cursor, 0, 59, &minutes))
		return false;
	*offset = (hours * 60 + minutes) * 60;
	if (is_west)
		*offset = -*offset;
	return true;
}

static bool is_leap_year(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to the first of January of this year; years before 1 exist, as in ISO 8601.
 */
static int64_t days_to_year(int64_t year)
{
	/* Counted from 2000-01-01 backwards or forwards in cycles of 400 years, so that the
	 * divisions below never see a negative number. */
	int64_t cycles = (year - 2000) / 400 - ((year - 2000) % 400 < 0 ? 1 : 0);
	int64_t in_cycle = year - 2000 - cycles * 400;

	return 10957 + cycles * 146097 + in_cycle * 365 + (in_cycle + 3) / 4 -
	       (in_cycle + 99) / 100 + (in_cycle + 399) / 400;
}

static bool days_to_date(int64_t year, int64_t month, int64_t day, int64_t *out)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t days = days_to_year(year);

	for (int64_t i = 0; i < month; i++) {
		int64_t in_month = month_days[i] + (i == 1 && is_leap_year(year) ? 1 : 0);

		if (i == month - 1) {
			*out = days + day - 1;
			return day <= in_month;
		}
		days += in_month;
	}
	return false;
}

static bool take_date(struct cursor *cursor, int64_t *days)
{
	int64_t year, month, day;
	bool is_negative = take_char(cursor, '-');

	if (!take_number(cursor, 4, 12, &year) || !take_char(cursor, '-') ||
		!take_range(cursor, 1, 12, &month) || !take_char(cursor, '-') ||
		!take_range(cursor, 1, 31, &day))
		return false;
	return days_to_date(is_negative ? -year : year, month, day, days);
}

bool timestamp_parse(const char *text, size_t size, int64_t *seconds, uint32_t *nanoseconds)
{
	struct cursor cursor = {.at = text, .end = text + size};
	int64_t days, hour, minute, second, offset;

	if (!take_date(&cursor, &days) ||
		!(take_char(&cursor, 'T') || take_char(&cursor, 't') || take_char(&cursor, ' ')))
		return false;
	if (!take_range(&cursor, 0, 23, &hour) || !take_char(&cursor, ':') ||
		!take_range(&cursor, 0, 59, &minute) || !take_char(&cursor, ':') ||
		!take_range(&cursor, 0, 60, &second))
		return false;
	if (!take_fraction(&cursor, nanoseconds) || !take_zone(&cursor, &offset) ||
		cursor.at != cursor.end)
		return false;
	*seconds = days * 86400 + (hour * 60 + minute) * 60 + second - offset;
	return true;
}
