/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "store_records_internal.h"

/* Data files and their descriptors: a bounded number of them stays open, the least recently used
 * one that nobody reads is closed first. Leaf functions: 0 or -errno. */
enum { FILES_N_BUCKETS = 256, FILE_NAME_SIZE = 2 * RECORD_KEY_SIZE + 8 };

struct data_file {
	uint8_t key[RECORD_KEY_SIZE];
	int fd;                 /* owned */
	int direct_fd;          /* owned; O_DIRECT, -1 where that is impossible */
	unsigned refs;          /* guarded by files->lock; the cache's own is one */
	bool cached;            /* guarded by files->lock, as all below */
	struct data_file *next; /* in the bucket */
	struct data_file *newer;
	struct data_file *older;
};

struct data_files {
	int layers_fd; /* borrowed */
	bool read_only;
	unsigned limit;
	_Atomic bool direct;            /* O_DIRECT has not failed yet */
	_Atomic bool directory_changed; /* names were added that are not durable */
	pthread_mutex_t create;         /* held while a file is made, alone */
	pthread_mutex_t lock;
	struct data_file *buckets[FILES_N_BUCKETS]; /* guarded by lock */
	struct data_file *newest;                   /* guarded by lock */
	struct data_file *oldest;                   /* guarded by lock */
	unsigned n_cached;                          /* guarded by lock */
};

/* @limit: data files kept open, 0 for what the process' limit of descriptors allows. */
void data_files_init(struct data_files *files, int layers_fd, bool read_only, unsigned limit);
void data_files_destroy(struct data_files *files);

/* Of the files that the index of a layer is, in the order in which they are removed. */
enum { N_INDEX_SUFFIXES = 2, INDEX_SUFFIX_LENGTH = 6 };
extern const char *const index_suffixes[N_INDEX_SUFFIXES];

/* <key in hexadecimal><suffix>, the suffix at most 7 characters. */
void layer_file_name(
	const uint8_t key[RECORD_KEY_SIZE], const char *suffix, char out[FILE_NAME_SIZE]);
void data_file_name(const uint8_t key[RECORD_KEY_SIZE], char out[FILE_NAME_SIZE]);

/* Bytes that a file takes on the disk; 0 when it is not there. */
uint64_t file_allocated(int dir_fd, const char *name);

/* Of everything that there is of a layer, and of its data file alone. */
uint64_t layer_files_allocated(int layers_fd, const uint8_t key[RECORD_KEY_SIZE]);
uint64_t data_file_allocated(int layers_fd, const uint8_t key[RECORD_KEY_SIZE]);

/* -ENOENT: there is none. Release with data_file_close(). */
MUST_CHECK int data_file_open(
	struct data_files *files, const uint8_t key[RECORD_KEY_SIZE], struct data_file **out);

/* Opens, or makes a file that is one hole of @size bytes. -ENOENT: it cannot, here. */
MUST_CHECK int data_file_create(struct data_files *files, const uint8_t key[RECORD_KEY_SIZE],
	uint64_t size, struct data_file **out);
struct data_file *data_file_ref(struct data_files *files, struct data_file *file);
void data_file_close(struct data_files *files, struct data_file *file);

/* Readers keep what they have open; whoever opens the layer next gets a new file. */
MUST_CHECK int data_file_remove(struct data_files *files, const uint8_t key[RECORD_KEY_SIZE]);
