/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli_internal.h"
#include "oci/digest.h"
#include "oci/image_name.h"
#include "oci/platform.h"

/* Arguments of verbs about images. Errors name the option. */

/* Paths become absolute. */
MUST_CHECK int image_argument_name(const char *text, struct image_name *out, struct error *err);

MUST_CHECK int image_argument_layer(const char *text, struct digest *out, struct error *err);

/* NULL: this machine's. */
MUST_CHECK int image_argument_platform(const char *text, struct platform *out, struct error *err);

/* A list of directories, made absolute; NULL: the usual ones. *out is the caller's. */
MUST_CHECK int image_argument_hosts_dirs(const char *given, char **out, struct error *err);

/* From standard input, when that was asked for; *out is the caller's to wipe, and NULL without. */
MUST_CHECK int image_argument_password(
	const char *username, bool password_stdin, char **out, struct error *err);
