/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bitmap_internal.h"
#include "store/layer_store.h"
#include "store/store.h"
#include "store_db_internal.h"
#include "store_files_internal.h"
#include "store_lock_internal.h"
#include "store_memory_internal.h"
#include "store_ranges_internal.h"
#include "store_records_internal.h"
#include "store_space_internal.h"
#include "store_windows_internal.h"

/* No code holds two of the store's mutexes at once. */

enum { LAYER_N_BUCKETS = 256, TREES_N_TEMPORARY = 4096 };

/* A unit whose bytes were written and are not known to be durable. */
struct pending_unit {
	uint64_t data_off;
	uint64_t size;
	uint32_t unit;
	bool forgotten; /* found damaged meanwhile: not to be claimed */
	bool findable;  /* by its digest */
	bool recorded;  /* its digest is in the database only */
	uint8_t digest[RECORD_UNIT_DIGEST_SIZE];
};

struct pending_units {
	struct pending_unit *units; /* owned */
	size_t n;
	size_t capacity;
	struct data_file *file; /* owned: errors of writeback are told to who had it open */
	bool used;              /* the layer's time of last use is to be recorded */
};

enum layer_phase {
	LAYER_CLAIMED, /* being opened, evicted or repaired: others wait */
	LAYER_READY,
};

/* What all handles of one layer share. It stays until the writer has nothing of it to write. */
struct layer_state {
	uint8_t key[RECORD_KEY_SIZE];
	struct layer_state *next; /* in the bucket; guarded by table->lock */
	enum layer_phase phase;   /* guarded by table->lock */
	unsigned n_handles;       /* guarded by table->lock */
	_Atomic unsigned refs;    /* dropped under table->lock */

	/* Constant once the layer is ready. */
	struct digest blob;
	uint64_t blob_size;
	uint64_t data_size;
	uint64_t fingerprint;
	uint64_t n_units;
	uint64_t size;
	bool memory_only; /* an old data file is in the way */

	struct bitmap present;   /* readers may read it */
	struct bitmap durable;   /* and the database says so: subset of present but for a moment */
	struct bitmap in_memory; /* in chunk_memory; guarded for writing by its lock */
	_Atomic uint64_t n_present;
	_Atomic uint64_t present_bytes;
	_Atomic uint32_t number;  /* of the data file in the database; 0: not there yet */
	_Atomic uint64_t version; /* of the data file's bytes: one more for every unit written */
	_Atomic bool clean;       /* what is not present is a hole of the data file */
	_Atomic bool discarded;   /* nothing of it is recorded any more */

	bool queued;                       /* guarded by writer->lock */
	struct layer_state *next_queued;   /* guarded by writer->lock */
	struct pending_units pending;      /* guarded by writer->lock */
	struct pending_units flushing;     /* writer thread only */
	struct layer_state *next_flushing; /* writer thread only */
	uint32_t new_number;               /* writer thread only, while it commits */
	bool failed; /* writer thread only: its bytes did not reach the disk */
};

struct layer_store {
	struct store *store;
	struct layer_state *state;
	const struct unit_table *units; /* borrowed */
};

struct state_table {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct layer_state *buckets[LAYER_N_BUCKETS]; /* guarded by lock */
};

/* Something the writer does for a thread that waits. Embed it. */
struct writer_job {
	int (*run)(struct store *store, struct writer_job *job, struct error *err);
	struct writer_job *next;
	struct error err;
	int result;
	bool done; /* guarded by writer->lock */
};

struct writer {
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;     /* the writer */
	pthread_cond_t done;     /* who waits for it */
	struct writer_job *jobs; /* guarded by lock, as all below */
	struct writer_job **jobs_end;
	struct layer_state *queue;
	uint64_t pending_bytes;
	uint64_t n_pending;
	unsigned n_pinned;    /* files that pending units hold open */
	uint64_t deadline_ns; /* of the queue; 0: nothing in it */
	uint64_t wanted;      /* flushes asked for */
	uint64_t flushed;     /* the last of them that is done */
	uint64_t failed;      /* the last of them, when it failed; else 0 */
	struct error failure;
	uint8_t (*stale)[RECORD_CHUNK_KEY_SIZE]; /* digests to look at again, see writer_stale() */
	size_t n_stale;
	bool space_due;
	bool stop;
};

/* Ids of trees that the database could not take. */
struct temporary_tree {
	uint8_t content[32];
	uint32_t id;
};

struct temporary_trees {
	pthread_mutex_t lock;
	struct temporary_tree *trees; /* owned; guarded by lock */
	size_t n;                     /* guarded by lock */
};

/* Who looks for index files by name. */
struct index_holds {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned n;    /* guarded by lock */
	bool removing; /* guarded by lock */
};

struct store {
	char *dir; /* owned; absolute */
	int dir_fd;
	int layers_fd;
	int images_fd;
	bool read_only;
	struct lock_file lock;
	struct db *db; /* owned */
	struct data_files files;
	struct range_pool ranges;
	struct windows windows;
	struct chunk_memory memory;
	struct state_table layers;
	struct temporary_trees trees;
	struct index_holds indexes;
	struct space space;
	struct writer writer;
	_Atomic uint64_t n_stored; /* data files in the database */
	_Atomic bool no_clone;     /* the file system cannot share extents */
};
