#pragma once
// Kubernetes' protobuf, table-driven both ways: bytes are those of the generated Go code (fields ascending, maps sorted,
// non-pointer fields always written).

#include <string>
#include <string_view>

#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// Appends the message of a structure. Null: the zero value.
void encode_protobuf(std::string& out, const Value* value, const Type& type);
// Decodes a message. Unknown fields are skipped; damage is an error. Text is copied into the arena.
Result<Value> decode_protobuf(Arena& arena, std::string_view bytes, const Type& type);

// The envelope `k8s\0` + runtime.Unknown, as sent and as stored.
struct ProtobufEnvelope {
  std::string_view api_version, kind, raw, content_encoding, content_type;
};
bool has_protobuf_prefix(std::string_view bytes);
Result<ProtobufEnvelope> open_protobuf_envelope(std::string_view bytes);
// Everything of the envelope but the body: what goes before it, and (Unknown's later fields) behind it.
std::string protobuf_envelope_head(std::string_view api_version, std::string_view kind, std::size_t body_size);
std::string_view protobuf_envelope_tail();

// Wire pieces that lists and streams need.
void append_varint(std::string& out, std::uint64_t value);
// Reads one varint and moves `bytes` on; false when damaged.
bool take_varint(std::string_view& bytes, std::uint64_t& value);

}  // namespace rusternetes::apimachinery
