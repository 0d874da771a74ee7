/* SPDX-License-Identifier: Apache-2.0 */
/* Which format a layer is in: one table of media types and the annotation that goes with them. */
#include "format/detect.h"

#include <string.h>

static const char *const gzip_media_types[] = {
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	NULL,
};

static const struct {
	enum layer_format format;
	const char *name;
	const char *const *media_types; /* ends with NULL */
	const char *annotation;         /* digest of the table of contents */
} formats[] = {
	{LAYER_FORMAT_ESTARGZ, "estargz", gzip_media_types, ESTARGZ_TOC_DIGEST_ANNOTATION},
};

enum { N_FORMATS = sizeof(formats) / sizeof(formats[0]) };

#define CURE "Convert the image with `ctr-remote image convert --estargz --oci`"

static bool is_one_of(const char *media_type, const char *const *media_types)
{
	for (; *media_types; media_types++) {
		if (strcmp(media_type, *media_types) == 0)
			return true;
	}
	return false;
}

int detect_layer(const struct descriptor *layer, bool allow_unverified, struct detected_layer *out,
	struct error *err)
{
	struct detected_layer found = {0};
	int candidate = -1;

	for (int i = 0; i < N_FORMATS; i++) {
		const char *annotation = descriptor_annotation(layer, formats[i].annotation);

		if (!is_one_of(layer->media_type, formats[i].media_types))
			continue;
		candidate = i;
		found.format = formats[i].format;
		found.name = formats[i].name;
		if (!annotation)
			continue;
		if (digest_parse(annotation, &found.toc_digest, err) < 0)
			return error_prefix(err, "annotation %s", formats[i].annotation);
		found.has_toc_digest = true;
		*out = found;
		return 0;
	}
	if (candidate < 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"media type %s is of no format that can be mounted lazily. " CURE,
			layer->media_type);
	if (!allow_unverified)
		return error_set(err, ERROR_UNSUPPORTED,
			"media type %s without the annotation %s: no table of contents to "
			"trust. " CURE ", or accept it as it is with --allow-unverified",
			layer->media_type, formats[candidate].annotation);
	*out = found;
	return 0;
}

int detect_estargz_footer(const struct descriptor *layer, const uint8_t *tail, size_t tail_size,
	struct estargz_footer *out, struct error *err)
{
	struct estargz_footer footer;

	if (estargz_footer_parse(tail, tail_size, layer->size, &footer, err) < 0)
		return -1;
	if (footer.kind != ESTARGZ_FOOTER_NONE) {
		*out = footer;
		return 0;
	}
	if (descriptor_annotation(layer, ESTARGZ_TOC_DIGEST_ANNOTATION))
		return error_set(err, ERROR_FORMAT,
			"annotation %s says eStargz, but the blob ends without its footer",
			ESTARGZ_TOC_DIGEST_ANNOTATION);
	return error_set(err, ERROR_UNSUPPORTED,
		"media type %s: a plain gzip layer without an eStargz table of contents. " CURE,
		layer->media_type);
}
