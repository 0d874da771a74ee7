/* SPDX-License-Identifier: Apache-2.0 */
/* References and images: what tags were, and what was mounted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store_images_internal.h"
#include "store_writer_internal.h"

/* References may be longer than LMDB's keys. */
static int reference_key(const char *reference, uint8_t out[RECORD_KEY_SIZE], struct error *err)
{
	size_t size = strlen(reference);
	struct digest key;

	if (size == 0 || size > RECORD_REFERENCE_LIMIT)
		return error_set(err, ERROR_INVALID, "a reference of %zu bytes", size);
	if (digest_compute(DIGEST_SHA256, reference, size, &key, err) < 0)
		return -1;
	memcpy(out, key.bytes, RECORD_KEY_SIZE);
	return 0;
}

int store_ref_put(
	struct store *store, const char *reference, const struct store_ref *ref, struct error *err)
{
	const struct ref_record record = {
		.digest = ref->digest,
		.resolved_s = ref->resolved_s,
		.reference = reference,
		.reference_size = strlen(reference),
	};
	CLEANUP(buffer_free) struct buffer value = {0};
	uint8_t key[RECORD_KEY_SIZE];

	if (reference_key(reference, key, err) < 0)
		return -1;
	if (record_ref_encode(&record, &value) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a reference");
	return writer_put_record(store, DB_REFS, key, &value, "keep what a tag was", err);
}

int store_ref_get(struct store *store, const char *reference, bool *found, struct store_ref *out,
	struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	struct ref_record record;
	uint8_t key[RECORD_KEY_SIZE];
	MDB_val value;
	int code;

	if (reference_key(reference, key, err) < 0)
		return -1;
	*found = false;
	if (db_is_lost(store->db))
		return 0;
	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = db_get(&txn, DB_REFS, key, sizeof(key), &value);
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(store->db, err, code, "look a tag up");
	*found = code == 0 && record_ref_decode(value.mv_data, value.mv_size, &record) &&
		 record.reference_size == strlen(reference) &&
		 memcmp(record.reference, reference, record.reference_size) == 0;
	if (*found)
		*out = (struct store_ref){.digest = record.digest, .resolved_s = record.resolved_s};
	return 0;
}

int store_image_put(struct store *store, const struct store_image *image, struct error *err)
{
	const struct image_record record = {
		.manifest = image->manifest,
		.used_s = image->used_s,
		.layers = (const uint8_t *)image->layers,
		.n_layers = image->n_layers,
		.reference = image->reference,
		.reference_size = strlen(image->reference),
	};
	CLEANUP(buffer_free) struct buffer value = {0};
	uint8_t key[RECORD_KEY_SIZE];

	if (image->n_layers > RECORD_IMAGE_LAYERS)
		return error_set(err, ERROR_UNSUPPORTED, "image %s has %zu layers, more than %d",
			image->reference, image->n_layers, RECORD_IMAGE_LAYERS);
	if (reference_key(image->reference, key, err) < 0)
		return -1;
	if (record_image_encode(&record, &value) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an image");
	return writer_put_record(store, DB_IMAGES, key, &value, "keep an image", err);
}

/* Copies of records: nothing of the database is held while the caller's code runs. */
struct image_list {
	struct store_image *images;
	size_t n;
};

static void image_list_free(struct image_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		union {
			const char *in;
			char *out;
		} reference = {.in = list->images[i].reference};

		free(reference.out);
		free(list->images[i].layers);
	}
	free(list->images);
}

static int copy_image(const struct image_record *record, struct store_image *out)
{
	size_t size = record->n_layers * RECORD_KEY_SIZE;
	CLEANUP(cleanup_free) char *reference = NULL;

	reference = strndup(record->reference, record->reference_size);
	out->layers = malloc(size > 0 ? size : 1);
	if (!reference || !out->layers) {
		free(out->layers);
		return -ENOMEM;
	}
	memcpy(out->layers, record->layers, size);
	out->reference = TAKE_PTR(reference);
	out->manifest = record->manifest;
	out->used_s = record->used_s;
	out->n_layers = record->n_layers;
	return 0;
}

static int collect(struct db_txn *txn, struct image_list *list)
{
	size_t n_entries;
	MDB_cursor *cursor;
	MDB_val key = {0}, value;
	int code = db_count(txn, DB_IMAGES, &n_entries);

	if (code == 0)
		code = db_cursor_open(txn, DB_IMAGES, &cursor);
	if (code != 0)
		return code;
	list->images = calloc(n_entries > 0 ? n_entries : 1, sizeof(*list->images));
	if (!list->images)
		code = ENOMEM;
	while (code == 0 && list->n < n_entries) {
		struct image_record record;

		code = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (code != 0 || !record_image_decode(value.mv_data, value.mv_size, &record))
			continue;
		if (copy_image(&record, &list->images[list->n]) < 0)
			code = ENOMEM;
		else
			list->n++;
	}
	db_cursor_close(txn, cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

int store_image_each(struct store *store, int (*each)(void *arg, const struct store_image *image),
	void *arg, struct error *err)
{
	CLEANUP(image_list_free) struct image_list list = {0};
	CLEANUP(db_read_end) struct db_txn txn = {0};
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = collect(&txn, &list);
	if (code != 0)
		return db_error(store->db, err, code, "list images");
	db_read_end(&txn);
	for (size_t i = 0; i < list.n; i++)
		if (each(arg, &list.images[i]) != 0)
			break;
	return 0;
}

struct forget_job {
	struct writer_job job;
	uint8_t reference[RECORD_KEY_SIZE];
	uint8_t documents[2][RECORD_KEY_SIZE];
	unsigned n_documents;
};

static int forget(struct db_txn *txn, void *arg)
{
	const struct forget_job *job = arg;
	int code = db_delete(txn, DB_IMAGES, job->reference, sizeof(job->reference));

	if (code == 0)
		code = db_delete(txn, DB_REFS, job->reference, sizeof(job->reference));
	for (unsigned i = 0; code == 0 && i < job->n_documents; i++)
		code = db_delete(txn, DB_DOCUMENTS, job->documents[i], sizeof(job->documents[i]));
	return code;
}

static int run_forget(struct store *store, struct writer_job *job, struct error *err)
{
	return db_write(store->db, forget, job, "forget an image", err);
}

int images_forget(struct store *store, const struct store_image *image, struct error *err)
{
	struct forget_job job = {.job.run = run_forget};
	struct store_ref ref;
	bool found;

	if (reference_key(image->reference, job.reference, err) < 0 ||
		document_key(&image->manifest, job.documents[job.n_documents++], err) < 0 ||
		store_ref_get(store, image->reference, &found, &ref, err) < 0)
		return -1;
	/* An index of manifests, or the manifest again. */
	if (found && document_key(&ref.digest, job.documents[job.n_documents++], err) < 0)
		return -1;
	return writer_call(store, &job.job, err);
}

struct remove_ref_job {
	struct writer_job job;
	uint8_t reference[RECORD_KEY_SIZE];
};

static int remove_ref(struct db_txn *txn, void *arg)
{
	const struct remove_ref_job *job = arg;

	return db_delete(txn, DB_REFS, job->reference, sizeof(job->reference));
}

static int run_remove_ref(struct store *store, struct writer_job *job, struct error *err)
{
	return db_write(store->db, remove_ref, job, "forget what a tag was", err);
}

int store_ref_remove(struct store *store, const char *reference, struct error *err)
{
	struct remove_ref_job job = {.job.run = run_remove_ref};

	if (reference_key(reference, job.reference, err) < 0)
		return -1;
	return writer_call(store, &job.job, err);
}
