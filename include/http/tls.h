/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Whom to trust and as whom to appear in TLS: a checked, immutable snapshot of files, shared by
 * reference. A handshake uses what was read and checked here, so nothing is read from a disk then.
 * The system's certificate authorities are always trusted too. */
struct tls_settings;

/* One client certificate. */
struct tls_client_pair {
	const char *cert_path; /* certificate, then its intermediates, in PEM */
	const char *key_path;  /* NULL or "": the key is in cert_path */
};

enum tls_verify {
	TLS_VERIFY_UNSET, /* verify; the caller has not decided */
	TLS_VERIFY_ON,
	TLS_VERIFY_SKIP, /* accept any server certificate */
};

/* Which files to load. Borrowed by tls_settings_load(). */
struct tls_settings_options {
	const char *const *ca_paths; /* trusted in addition to the system's */
	size_t n_ca_paths;
	const struct tls_client_pair *pairs;
	size_t n_pairs;
	enum tls_verify verify;
	/* Settings whose copy of the system's authorities is shared where its files are unchanged.
	 * NULL reads them again. Borrowed for the call. */
	const struct tls_settings *system_from;
};

/**
 * tls_settings_load() - read and check certificate files.
 * @out: set on success; one reference, released with tls_settings_unref().
 * @err: ERROR_INVALID (a file is missing, unreadable or not what it should be), naming the file
 *       and the cure, ERROR_NO_MEMORY.
 *
 * A client certificate is checked here for what would otherwise fail at the handshake: not PEM, no
 * certificate or key inside, the two swapped or not matching, an encrypted key, leaf not first,
 * expired, not yet valid.
 *
 * Of several pairs a handshake takes the first that the server's request allows (its list of
 * authorities and signature algorithms), and none where it allows none: as Go's crypto/tls, and
 * so containerd, does.
 *
 * Threads: any that may block on a disk; never a loop.
 */
MUST_CHECK int tls_settings_load(
	const struct tls_settings_options *options, struct tls_settings **out, struct error *err);

/* One more reference. Any thread. */
struct tls_settings *tls_settings_ref(struct tls_settings *settings);

/* Any thread. NULL is allowed. */
void tls_settings_unref(struct tls_settings *settings);
void tls_settings_unrefp(struct tls_settings **settings);

/* Whether a file read by tls_settings_load() is another one now, or gone. Blocks on the disk. */
bool tls_settings_changed(const struct tls_settings *settings);

/* As given when loading. Any thread. */
enum tls_verify tls_settings_verify(const struct tls_settings *settings);

/* Number of client pairs. Any thread. */
size_t tls_settings_n_pairs(const struct tls_settings *settings);
