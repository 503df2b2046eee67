// Any bytes as the protobuf of a Pod, bare or in its envelope: what decodes must encode and decode to the
// same again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/protobuf.h"

using namespace rusternetes::apimachinery;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Type& type = core_v1::Pod::schema_type();
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (has_protobuf_prefix(bytes)) {
    const auto envelope = open_protobuf_envelope(bytes);
    if (!envelope) return 0;
    bytes = envelope->raw;
  }
  Arena arena;
  const auto first = decode_protobuf(arena, bytes, type);
  if (!first) return 0;
  std::string text, again;
  encode_protobuf(text, &*first, type);
  const auto second = decode_protobuf(arena, text, type);
  if (!second) std::abort();
  encode_protobuf(again, &*second, type);
  if (text != again) std::abort();
  return 0;
}
