/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the JSON of a table of contents with simdjson, entry by entry and in place: strings without
 * escapes stay where they are. Errors come as values, and no exception leaves. */
#include <cstring>
#include <string_view>
#include <utility>

/* Assertions of simdjson would end the process on some broken documents; the checks behind them
 * return errors. */
#ifndef NDEBUG
#define NDEBUG
#endif
#define SIMDJSON_EXCEPTIONS 0
#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include <simdjson.h>

#include "base/bytes.h"
#include "crfs_internal.h"

namespace ondemand = simdjson::ondemand;

static_assert(CRFS_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads that far");

namespace
{

enum class kind { text, number, mode, xattrs, nothing };

constexpr uint32_t load32(const char *p)
{
	return static_cast<uint32_t>(static_cast<uint8_t>(p[0])) |
	       static_cast<uint32_t>(static_cast<uint8_t>(p[1])) << 8 |
	       static_cast<uint32_t>(static_cast<uint8_t>(p[2])) << 16 |
	       static_cast<uint32_t>(static_cast<uint8_t>(p[3])) << 24;
}

/* All of a key of up to eight bytes, the beginning of a longer one; with its size, as good as
 * unique among the keys there are. */
constexpr uint64_t key_word(std::string_view key)
{
	const char *p = key.data();
	size_t size = key.size();

	if (size >= 8)
		return load32(p) | static_cast<uint64_t>(load32(p + 4)) << 32;
	if (size >= 4)
		return load32(p) | static_cast<uint64_t>(load32(p + size - 4)) << 32;
	return size == 0 ? 0
			 : static_cast<uint8_t>(p[0]) |
				   static_cast<uint64_t>(static_cast<uint8_t>(p[size / 2])) << 8 |
				   static_cast<uint64_t>(static_cast<uint8_t>(p[size - 1])) << 16;
}

struct field {
	std::string_view name;
	kind type;
	size_t off; /* in struct crfs_record */
	uint64_t word;
};

#define FIELD(name, type, member)                                                                  \
	{                                                                                          \
		name, kind::type, offsetof(struct crfs_record, member), key_word(name)             \
	}
/* Those of no use here are found faster than none is. */
constexpr field fields[] = {
	FIELD("name", text, name),
	FIELD("type", text, type),
	FIELD("size", number, size),
	FIELD("modtime", text, modtime),
	FIELD("linkName", text, link_name),
	FIELD("mode", mode, mode),
	FIELD("uid", number, uid),
	FIELD("gid", number, gid),
	FIELD("offset", number, offset),
	FIELD("innerOffset", number, inner_offset),
	FIELD("endOffset", number, end_offset),
	FIELD("devMajor", number, dev_major),
	FIELD("devMinor", number, dev_minor),
	FIELD("xattrs", xattrs, xattrs),
	FIELD("digest", text, digest),
	FIELD("chunkOffset", number, chunk_offset),
	FIELD("chunkSize", number, chunk_size),
	FIELD("chunkDigest", text, chunk_digest),
	FIELD("chunkType", text, chunk_type),
	FIELD("NumLink", nothing, name),
	FIELD("accesstime", nothing, name),
	FIELD("changetime", nothing, name),
	FIELD("userName", nothing, name),
	FIELD("groupName", nothing, name),
};
#undef FIELD
constexpr size_t n_fields = sizeof(fields) / sizeof(fields[0]);

struct parser {
	ondemand::parser json;
	struct crfs_builder *builder = nullptr;
	struct error *err = nullptr;
	struct crfs_record record = {};
	struct crfs_xattr xattrs[TOC_MAX_XATTRS] = {};
	struct digest *tar_split_digest = nullptr; /* of the options */
	struct buffer scratch = {};                /* where strings with escapes are decoded */
	/* A writer writes its fields in one order: which came next the last time. */
	size_t last_field = n_fields;
	size_t following[n_fields + 1] = {};

	~parser()
	{
		buffer_free(&scratch);
	}
};

int fail(parser &p, simdjson::error_code code)
{
	if (code == simdjson::MEMALLOC)
		return error_set(p.err, ERROR_NO_MEMORY, "no memory to parse JSON");
	return error_set(p.err, ERROR_FORMAT, "%s", simdjson::error_message(code));
}

int wrong_type(parser &p, const char *wanted)
{
	return error_set(p.err, ERROR_FORMAT, "not %s", wanted);
}

/* A string with escapes, decoded into memory of the table of contents. */
int keep_unescaped(parser &p, ondemand::raw_json_string raw, size_t raw_size, struct crfs_text *out)
{
	std::string_view decoded;
	uint8_t *to;

	p.scratch.size = 0;
	if (buffer_reserve(&p.scratch, raw_size + simdjson::SIMDJSON_PADDING) < 0)
		return error_set(p.err, ERROR_NO_MEMORY, "no memory to parse JSON");
	to = p.scratch.data;
	if (auto code = p.json.unescape(raw, to).get(decoded))
		return fail(p, code);
	out->data = crfs_builder_keep(p.builder, decoded.data(), decoded.size());
	out->size = decoded.size();
	if (!out->data)
		return error_set(p.err, ERROR_NO_MEMORY, "no memory to parse JSON");
	return 0;
}

/* The string whose token, with its quotes and the white space behind it, is given. */
int keep_token(
	parser &p, ondemand::raw_json_string raw, std::string_view token, struct crfs_text *out)
{
	size_t end = token.rfind('"');

	/* The opening quote is token[0]. */
	if (end == 0 || end == std::string_view::npos)
		return wrong_type(p, "a string");
	if (std::memchr(token.data(), '\\', end))
		return keep_unescaped(p, raw, end, out);
	out->data = token.data() + 1;
	out->size = end - 1;
	return 0;
}

bool is_null(ondemand::value &value)
{
	bool result = false;

	return value.raw_json_token()[0] == 'n' && !value.is_null().get(result) && result;
}

int read_text(parser &p, ondemand::value &value, struct crfs_text *out)
{
	std::string_view token = value.raw_json_token();
	ondemand::raw_json_string raw;

	if (value.get_raw_json_string().get(raw))
		return wrong_type(p, "a string");
	return keep_token(p, raw, token, out);
}

int read_number(parser &p, ondemand::value &value, uint64_t *out)
{
	if (value.get_uint64().get(*out) || *out > INT64_MAX)
		return wrong_type(p, "a number from 0 to 2^63 - 1");
	return 0;
}

/* A key up to its closing quote, which stage 1 of the parser has seen. */
int read_key(parser &p, ondemand::raw_json_string raw, struct crfs_text *out)
{
	const char *start = raw.raw();
	const char *end = start;
	bool has_escapes = false;

	for (; *end != '"'; end++) {
		if (*end == '\\') {
			has_escapes = true;
			end++;
		}
	}
	if (has_escapes)
		return keep_unescaped(p, raw, static_cast<size_t>(end - start), out);
	out->data = start;
	out->size = static_cast<size_t>(end - start);
	return 0;
}

int read_xattrs(parser &p, ondemand::value &value)
{
	ondemand::object object;

	if (value.get_object().get(object))
		return wrong_type(p, "an object");
	for (auto element : object) {
		struct crfs_xattr xattr = {};
		ondemand::field member;
		if (auto code = std::move(element).get(member))
			return fail(p, code);
		ondemand::value content = member.value();

		if (p.record.n_xattrs == TOC_MAX_XATTRS)
			return error_set(p.err, ERROR_FORMAT, "more than %d xattrs",
				static_cast<int>(TOC_MAX_XATTRS));
		if (read_key(p, member.key(), &xattr.name) < 0)
			return -1;
		if (!is_null(content) && read_text(p, content, &xattr.value) < 0)
			return error_prefix(
				p.err, "%.*s", static_cast<int>(xattr.name.size), xattr.name.data);
		p.xattrs[p.record.n_xattrs++] = xattr;
	}
	return 0;
}

int read_value(parser &p, const field &which, ondemand::value &value)
{
	char *member = reinterpret_cast<char *>(&p.record) + which.off;

	switch (which.type) {
	case kind::text:
		return read_text(p, value, reinterpret_cast<struct crfs_text *>(member));
	case kind::number:
		return read_number(p, value, reinterpret_cast<uint64_t *>(member));
	case kind::mode:
		if (value.get_int64().get(p.record.mode))
			return wrong_type(p, "an integer");
		return 0;
	case kind::xattrs:
		return read_xattrs(p, value);
	case kind::nothing:
		break;
	}
	return 0;
}

/* The index of a key, or n_fields. */
size_t find_field(parser &p, struct crfs_text key)
{
	std::string_view wanted(key.data, key.size);
	uint64_t word = key_word(wanted);
	size_t *following = &p.following[p.last_field];
	size_t candidate = *following;

	for (size_t i = 0; i < n_fields; i++, candidate++) {
		if (candidate >= n_fields)
			candidate = 0;
		if (fields[candidate].word == word && fields[candidate].name == wanted) {
			*following = candidate;
			p.last_field = candidate;
			return candidate;
		}
	}
	return n_fields;
}

int read_member(parser &p, ondemand::field &member, uint32_t *seen)
{
	ondemand::value value = member.value();
	struct crfs_text key = {};
	size_t i;

	if (read_key(p, member.key(), &key) < 0)
		return -1;
	i = find_field(p, key);
	if (i == n_fields || fields[i].type == kind::nothing)
		return 0;
	if (*seen & (UINT32_C(1) << i))
		return error_set(p.err, ERROR_FORMAT, "%s appears twice", fields[i].name.data());
	*seen |= UINT32_C(1) << i;
	if (is_null(value))
		return 0;
	if (read_value(p, fields[i], value) < 0)
		return error_prefix(p.err, "%s", fields[i].name.data());
	return 0;
}

int read_entry(parser &p, ondemand::value &value)
{
	ondemand::object object;
	uint32_t seen = 0;

	p.record = {};
	p.record.xattrs = p.xattrs;
	p.last_field = n_fields;
	if (value.get_object().get(object))
		return wrong_type(p, "an object");
	for (auto element : object) {
		ondemand::field member;

		if (auto code = std::move(element).get(member))
			return fail(p, code);
		if (read_member(p, member, &seen) < 0)
			return -1;
	}
	return 0;
}

int read_entries(parser &p, ondemand::value &value)
{
	ondemand::array array;

	if (is_null(value))
		return 0;
	if (value.get_array().get(array))
		return error_set(p.err, ERROR_FORMAT, "entries: not an array");
	for (auto element : array) {
		ondemand::value entry;

		if (auto code = std::move(element).get(entry))
			return error_prefix(p.err, "entries"), fail(p, code);
		if (read_entry(p, entry) < 0)
			return crfs_builder_blame(p.builder, &p.record, p.err);
		if (crfs_builder_add(p.builder, &p.record, p.err) < 0)
			return -1;
	}
	return 0;
}

int read_tar_split_digest(parser &p, ondemand::value &value)
{
	struct crfs_text text = {};

	if (p.tar_split_digest->algorithm)
		return error_set(p.err, ERROR_FORMAT, "tarSplitDigest appears twice");
	if (is_null(value))
		return 0;
	if (read_text(p, value, &text) < 0)
		return error_prefix(p.err, "tarSplitDigest");
	return crfs_digest_parse(text, "tarSplitDigest", p.tar_split_digest, p.err);
}

int read_document(parser &p, ondemand::document &document)
{
	bool has_version = false, has_entries = false;
	ondemand::object object;

	if (document.get_object().get(object))
		return wrong_type(p, "an object");
	for (auto element : object) {
		struct crfs_text key = {};
		ondemand::field member;
		uint64_t version = 0;

		if (auto code = std::move(element).get(member))
			return fail(p, code);
		ondemand::value value = member.value();
		if (read_key(p, member.key(), &key) < 0)
			return -1;
		std::string_view name(key.data, key.size);
		if (name == "version") {
			if (has_version || value.get_uint64().get(version) || version != 1)
				return error_set(p.err, ERROR_UNSUPPORTED, "version is not 1");
			has_version = true;
		} else if (name == "entries") {
			if (has_entries)
				return error_set(p.err, ERROR_FORMAT, "entries appears twice");
			has_entries = true;
			if (read_entries(p, value) < 0)
				return -1;
		} else if (name == "tarSplitDigest" && p.tar_split_digest) {
			if (read_tar_split_digest(p, value) < 0)
				return -1;
		}
	}
	if (!has_version)
		return error_set(p.err, ERROR_UNSUPPORTED, "version is not 1");
	return 0;
}

int parse(parser &p, const char *json, size_t json_size, struct toc **out)
{
	ondemand::document document;

	if (auto code = p.json.iterate(json, json_size, json_size + CRFS_JSON_PADDING)
				.get(document))
		return fail(p, code);
	if (read_document(p, document) < 0)
		return -1;
	return crfs_builder_finish(p.builder, out, p.err);
}

} // namespace

int crfs_json_parse_padded(const char *json, size_t json_size, const struct crfs_options *options,
	struct toc **out, struct error *err)
{
	CLEANUP(crfs_builder_freep) struct crfs_builder *builder = nullptr;
	parser *p = new (std::nothrow) parser;
	int result = -1;

	if (!p)
		return error_set(err, ERROR_NO_MEMORY, "no memory to parse JSON");
	p->err = err;
	if (crfs_builder_new(options, &builder, err) == 0) {
		p->builder = builder;
		p->tar_split_digest = options->tar_split_digest;
		result = parse(*p, json, json_size, out);
	}
	delete p;
	return result;
}

int crfs_json_parse(const char *json, size_t json_size, const struct crfs_options *options,
	struct toc **out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer padded = {};

	if (buffer_reserve(&padded, json_size + CRFS_JSON_PADDING) < 0 ||
		buffer_append(&padded, json, json_size) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	return crfs_json_parse_padded(
		reinterpret_cast<const char *>(padded.data), json_size, options, out, err);
}
