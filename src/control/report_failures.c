/* SPDX-License-Identifier: Apache-2.0 */
/* Why reads failed: the layers' records, with the files they were about. */
#include "report_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error_map.h"
#include "layer/tree.h"

struct failure_row {
	struct layer_failure failure; /* the newest of this unit */
	size_t layer;                 /* of the tree */
	uint64_t times;
};

struct failure_rows {
	struct failure_row *rows;
	size_t n;
	size_t max;
};

/* Units that come out of the same encoded bytes fail together, and the record names one of them. */
static bool is_sibling(
	const struct unit_table *units, const struct failure_filter *filter, uint64_t failed)
{
	struct unit unit, other;

	if (unit_table_get(units, failed, &unit, NULL) < 0)
		return false;
	for (uint64_t i = 0; i < filter->n_units; i++) {
		if (unit_table_get(units, filter->first_unit + i, &other, NULL) < 0)
			return false;
		if (other.blob_off == unit.blob_off && !(other.flags & UNIT_ZEROS))
			return true;
	}
	return false;
}

static bool is_wanted(
	const struct tree *tree, const struct failure_filter *filter, size_t layer, uint64_t unit)
{
	if (filter->all)
		return true;
	if (filter->layer != layer)
		return false;
	if (unit >= filter->first_unit && unit - filter->first_unit < filter->n_units)
		return true;
	return is_sibling(layer_index_of(tree->layers[layer])->units, filter, unit);
}

/* A reader that tries again, and all that wait for one unit, fail for the same reason. */
static bool is_known(struct failure_rows *rows, const struct layer_failure *failure, size_t layer)
{
	for (size_t i = 0; i < rows->n; i++) {
		struct failure_row *row = &rows->rows[i];

		if (row->layer == layer && row->failure.unit == failure->unit &&
			row->failure.kind == failure->kind) {
			row->times += failure->n_times;
			return true;
		}
	}
	return false;
}

/* Keeps the newest; of equally old ones those that came first. Those of a layer come newest first.
 */
static void keep(struct failure_rows *rows, const struct layer_failure *failure, size_t layer)
{
	size_t i = rows->n;

	if (is_known(rows, failure, layer))
		return;
	while (i > 0 && rows->rows[i - 1].failure.when_s < failure->when_s)
		i--;
	if (i == rows->max)
		return;
	if (rows->n < rows->max)
		rows->n++;
	for (size_t j = rows->n - 1; j > i; j--)
		rows->rows[j] = rows->rows[j - 1];
	rows->rows[i] = (struct failure_row){*failure, layer, failure->n_times};
}

static void collect(
	const struct tree *tree, const struct failure_filter *filter, struct failure_rows *rows)
{
	struct layer_failure failures[LAYER_MAX_FAILURES];

	for (size_t i = 0; i < tree->n_layers; i++) {
		size_t n = layer_failures(tree->layers[i], failures, LAYER_MAX_FAILURES);

		for (size_t j = 0; j < n; j++) {
			if (is_wanted(tree, filter, i, failures[j].unit))
				keep(rows, &failures[j], i);
		}
	}
}

/* The file whose bytes the unit holds, if any: layers hold files that upper layers removed. */
static bool find_path(const struct tree *tree, const struct failure_row *row, char path[4096])
{
	const struct layer_index *index = layer_index_of(tree->layers[row->layer]);
	struct unit unit;
	uint64_t nid;
	bool found;

	return unit_table_get(index->units, row->failure.unit, &unit, NULL) == 0 &&
	       erofs_find_data(tree->reader, (unsigned)row->layer, unit.data_off, &found, &nid,
		       NULL) == 0 &&
	       found && erofs_path(tree->reader, nid, path, NULL) == 0;
}

static struct json *row_to_json(const struct report_mount *mount, const struct failure_row *row)
{
	const struct tree *tree = mount->image->tree;
	struct json *json = json_new_object();
	char path[4096];

	set_number(json, "when_s", (uint64_t)row->failure.when_s);
	set_number(json, "times", row->times);
	set_text(json, "mount", mount->dir);
	set_digest(json, "layer", &layer_descriptor(tree->layers[row->layer])->digest);
	set_number(json, "unit", row->failure.unit);
	if (find_path(tree, row, path))
		set_text(json, "path", path);
	set_text(json, "kind", error_kind_name(row->failure.kind));
	set_text(json, "origin", row->failure.origin);
	set_text(json, "message", row->failure.message);
	set_text(json, "advice", report_advice(row->failure.kind, mount->image->place));
	return json;
}

void report_failures(const struct report_mount *mount, const struct failure_filter *filter,
	size_t max, struct json *array)
{
	struct failure_rows rows = {.max = max};

	rows.rows = calloc(max, sizeof(*rows.rows));
	if (!rows.rows)
		return;
	collect(mount->image->tree, filter, &rows);
	for (size_t i = 0; i < rows.n; i++)
		json_append(array, row_to_json(mount, &rows.rows[i]));
	free(rows.rows);
}
