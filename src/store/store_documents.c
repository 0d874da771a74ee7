/* SPDX-License-Identifier: Apache-2.0 */
/* Small documents by digest: manifests, configurations. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "store_images_internal.h"
#include "store_writer_internal.h"

struct put_job {
	struct writer_job job;
	enum db_table table;
	const uint8_t *key;
	const struct buffer *value;
	const char *what;
};

static int put(struct db_txn *txn, void *arg)
{
	const struct put_job *job = arg;

	return db_put(
		txn, job->table, job->key, RECORD_KEY_SIZE, job->value->data, job->value->size);
}

static int run_put(struct store *store, struct writer_job *base, struct error *err)
{
	struct put_job *job = (struct put_job *)base;

	return db_write(store->db, put, job, job->what, err);
}

static int is_recorded(
	struct store *store, const struct put_job *job, bool *recorded, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	MDB_val value;
	int code;

	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = db_get(&txn, job->table, job->key, RECORD_KEY_SIZE, &value);
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(store->db, err, code, job->what);
	*recorded = code == 0 && value.mv_size == job->value->size &&
		    memcmp(value.mv_data, job->value->data, value.mv_size) == 0;
	return 0;
}

/* What is mounted again is there already, and a commit costs a write to the disk. */
int writer_put_record(struct store *store, enum db_table table, const uint8_t key[RECORD_KEY_SIZE],
	const struct buffer *value, const char *what, struct error *err)
{
	struct put_job job = {
		.job.run = run_put, .table = table, .key = key, .value = value, .what = what};
	bool recorded = false;

	if (is_recorded(store, &job, &recorded, err) < 0)
		return -1;
	return recorded ? 0 : writer_call(store, &job.job, err);
}

/* Digests of any algorithm in keys of one size. */
int document_key(const struct digest *digest, uint8_t out[RECORD_KEY_SIZE], struct error *err)
{
	struct digest key;

	if (digest_compute(DIGEST_SHA256, digest->bytes, digest_size(digest), &key, err) < 0)
		return -1;
	memcpy(out, key.bytes, RECORD_KEY_SIZE);
	return 0;
}

static int check_document(
	const struct digest *digest, const char *media_type, size_t size, struct error *err)
{
	char text[DIGEST_TEXT_SIZE];

	if (size > RECORD_DOCUMENT_LIMIT)
		return error_set(err, ERROR_UNSUPPORTED,
			"document %s has %zu bytes, more than the limit of %d",
			digest_format(digest, text), size, RECORD_DOCUMENT_LIMIT);
	if (strlen(media_type) > RECORD_MEDIA_TYPE_LIMIT)
		return error_set(err, ERROR_FORMAT, "document %s: a media type of %zu bytes",
			digest_format(digest, text), strlen(media_type));
	return 0;
}

int store_document_put(struct store *store, const struct digest *digest, const char *media_type,
	const void *data, size_t size, struct error *err)
{
	const struct document_record record = {
		.media_type = media_type,
		.media_type_size = strlen(media_type),
		.data = data,
		.size = size,
	};
	CLEANUP(buffer_free) struct buffer value = {0};
	uint8_t key[RECORD_KEY_SIZE];

	if (check_document(digest, media_type, size, err) < 0)
		return -1;
	if (digest_check(digest, data, size, err) < 0)
		return -1;
	if (document_key(digest, key, err) < 0)
		return -1;
	if (record_document_encode(&record, &value) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a document");
	return writer_put_record(store, DB_DOCUMENTS, key, &value, "keep a document", err);
}

static int copy_document(const struct document_record *record, const struct digest *digest,
	bool *found, char media_type[RECORD_MEDIA_TYPE_LIMIT + 1], uint8_t **data, size_t *size,
	struct error *err)
{
	CLEANUP(cleanup_free) uint8_t *copy = NULL;
	struct error reason = {0};

	if (digest_check(digest, record->data, record->size, &reason) < 0) {
		log_warning(
			"a stored document is damaged, it is fetched again: %s", reason.message);
		*found = false;
		return 0;
	}
	copy = malloc(record->size + 1);
	if (!copy)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a document");
	memcpy(copy, record->data, record->size);
	copy[record->size] = 0;
	memcpy(media_type, record->media_type, record->media_type_size);
	media_type[record->media_type_size] = '\0';
	*data = TAKE_PTR(copy);
	*size = record->size;
	*found = true;
	return 0;
}

int store_document_get(struct store *store, const struct digest *digest, bool *found,
	char media_type[128], uint8_t **data, size_t *size, struct error *err)
{
	CLEANUP(db_read_end) struct db_txn txn = {0};
	struct document_record record;
	uint8_t key[RECORD_KEY_SIZE];
	MDB_val value;
	int code;

	if (document_key(digest, key, err) < 0)
		return -1;
	*found = false;
	if (db_is_lost(store->db))
		return 0;
	if (db_read_begin(store->db, &txn, err) < 0)
		return -1;
	code = db_get(&txn, DB_DOCUMENTS, key, sizeof(key), &value);
	if (code != 0 && code != MDB_NOTFOUND)
		return db_error(store->db, err, code, "look a document up");
	*found = code == 0 && record_document_decode(value.mv_data, value.mv_size, &record);
	if (!*found)
		return 0;
	return copy_document(&record, digest, found, media_type, data, size, err);
}
