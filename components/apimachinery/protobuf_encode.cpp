#include <bit>
#include <cstring>
#include <vector>

#include "apimachinery/protobuf.h"

namespace rusternetes::apimachinery {
namespace {

std::size_t varint_size(std::uint64_t value) {
  return value == 0 ? 1 : (static_cast<std::size_t>(std::bit_width(value)) + 6) / 7;
}

bool is_message(TypeKind kind) {
  switch (kind) {
    case TypeKind::string:
    case TypeKind::boolean:
    case TypeKind::int32:
    case TypeKind::int64:
    case TypeKind::float64:
    case TypeKind::bytes: return false;
    default: return true;
  }
}

// Walks a value twice in the same order: first with `measuring`, noting each message's size, then writing with the
// sizes at hand. Deeply nested messages are thus measured once each.
class Walk {
 public:
  std::string* out = nullptr;  // null: measuring
  std::vector<std::uint32_t> sizes;
  std::size_t next = 0;

  // All `write_` functions return the bytes they take.
  std::size_t structure(const Value* value, const Type& type) {
    return entries(value, type, type.proto.subspan(0, type.proto_roots));
  }

  std::size_t entries(const Value* value, const Type& type, std::span<const ProtoEntry> all) {
    std::size_t bytes = 0;
    for (const auto& entry : all) {
      if (entry.field < 0) {
        bytes += message(entry.number, [&] {
          return entries(value, type, type.proto.subspan(entry.first_child, entry.child_count));
        });
        continue;
      }
      const Field& field = type.fields[static_cast<std::size_t>(entry.field)];
      const Value* child = value ? value->get(entry.field) : nullptr;
      if (!child && field.is_pointer) continue;
      bytes += field_bytes(entry.number, child, *field.type);
    }
    return bytes;
  }

 private:
  std::size_t varint(std::uint64_t value) {
    if (out) append_varint(*out, value);
    return varint_size(value);
  }
  std::size_t tag(std::uint32_t number, std::uint32_t wire_type) { return varint(number << 3 | wire_type); }
  std::size_t text(std::uint32_t number, std::string_view bytes) {
    std::size_t size = tag(number, 2);
    size += varint(bytes.size());
    if (out) out->append(bytes);
    return size + bytes.size();
  }
  std::size_t integer(std::uint32_t number, std::uint64_t value) {
    const std::size_t size = tag(number, 0);
    return size + varint(value);
  }

  template <class Body>
  std::size_t message(std::uint32_t number, Body body) {
    if (!out) {
      const std::size_t slot = sizes.size();
      sizes.push_back(0);
      const std::size_t size = body();
      sizes[slot] = static_cast<std::uint32_t>(size);
      return tag(number, 2) + varint(size) + size;
    }
    const std::size_t size = sizes[next++];
    const std::size_t head = tag(number, 2) + varint(size);
    body();
    return head + size;
  }

  std::size_t field_bytes(std::uint32_t number, const Value* value, const Type& type) {
    switch (type.kind) {
      case TypeKind::list: {
        if (type.is_wrapped_list) return message(number, [&] { return items(1, value, *type.element); });
        return items(number, value, *type.element);
      }
      case TypeKind::map: {
        std::size_t bytes = 0;
        for (std::uint32_t i = 0; value && i < value->size; ++i)
          bytes += message(number, [&] {
            std::size_t size = text(1, value->items[2 * i].str());
            const Value& item = value->items[2 * i + 1];
            if (type.element->kind == TypeKind::bytes && item.kind == ValueKind::null) return size;
            return size + field_bytes(2, &item, *type.element);
          });
        return bytes;
      }
      default: return is_message(type.kind) ? message(number, [&] { return body(value, type); }) : scalar(number, value, type);
    }
  }

  std::size_t items(std::uint32_t number, const Value* value, const Type& element) {
    std::size_t bytes = 0;
    for (std::uint32_t i = 0; value && i < value->size; ++i) bytes += field_bytes(number, &value->items[i], element);
    return bytes;
  }

  std::size_t scalar(std::uint32_t number, const Value* value, const Type& type) {
    switch (type.kind) {
      case TypeKind::string: return text(number, value ? value->str() : std::string_view{});
      case TypeKind::bytes: return value ? text(number, value->str()) : 0;  // nil is not written
      case TypeKind::boolean: return integer(number, value && value->kind == ValueKind::boolean && value->boolean);
      case TypeKind::float64: {
        const double d = !value ? 0.0 : value->kind == ValueKind::integer ? static_cast<double>(value->integer) : value->floating;
        const std::size_t size = tag(number, 1);
        if (out) {
          char raw[8];
          std::memcpy(raw, &d, 8);
          out->append(raw, 8);
        }
        return size + 8;
      }
      default: return integer(number, value ? static_cast<std::uint64_t>(value->integer) : 0);
    }
  }

  // The content of a message.
  std::size_t body(const Value* value, const Type& type) {
    switch (type.kind) {
      case TypeKind::structure: return structure(value, type);
      case TypeKind::quantity: return text(1, value ? value->str() : std::string_view("0"));
      case TypeKind::duration: return integer(1, value ? static_cast<std::uint64_t>(value->integer) : 0);
      case TypeKind::raw:
      case TypeKind::fields_v1: return value ? text(1, value->str()) : 0;
      case TypeKind::time:
      case TypeKind::micro_time: {
        if (!value || value->kind != ValueKind::time) return 0;
        std::int64_t seconds = value->integer / 1'000'000, micros = value->integer % 1'000'000;
        if (micros < 0) --seconds, micros += 1'000'000;
        const std::size_t size = integer(1, static_cast<std::uint64_t>(seconds));
        return size + integer(2, type.kind == TypeKind::micro_time ? static_cast<std::uint64_t>(micros) * 1000 : 0);
      }
      case TypeKind::int_or_string: {
        const bool is_string = value && value->kind == ValueKind::string;
        std::size_t size = integer(1, is_string);
        size += integer(2, value && !is_string ? static_cast<std::uint64_t>(value->integer) : 0);
        return size + text(3, is_string ? value->str() : std::string_view{});
      }
      case TypeKind::choice: return choice(value, type);
      default: return 0;
    }
  }

  // JSONSchemaPropsOrBool also writes `allows` beside a schema; the others write only what is there.
  std::size_t choice(const Value* value, const Type& type) {
    std::size_t bytes = 0;
    for (const auto& one : type.choices) {
      const bool is_it = value && ((one.json_shape == TypeKind::structure && value->kind == ValueKind::structure) ||
                                   (one.json_shape == TypeKind::list && value->kind == ValueKind::list));
      if (one.json_shape == TypeKind::boolean)
        bytes += integer(one.number, value && (value->kind == ValueKind::structure || value->boolean));
      else if (is_it)
        bytes += field_bytes(one.number, value, *one.type);
    }
    return bytes;
  }
};

}  // namespace

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

void encode_protobuf(std::string& out, const Value* value, const Type& type) {
  Walk walk;
  const std::size_t size = walk.structure(value, type);
  out.reserve(out.size() + size);
  walk.out = &out;
  walk.structure(value, type);
}

namespace {
constexpr std::string_view prefix{"k8s\0", 4};
}

bool has_protobuf_prefix(std::string_view bytes) { return bytes.starts_with(prefix); }

std::string protobuf_envelope_head(std::string_view api_version, std::string_view kind, std::size_t body_size) {
  std::string out(prefix);
  std::string meta;
  meta += '\x0a';
  append_varint(meta, api_version.size());
  meta += api_version;
  meta += '\x12';
  append_varint(meta, kind.size());
  meta += kind;
  out += '\x0a';
  append_varint(out, meta.size());
  out += meta;
  out += '\x12';
  append_varint(out, body_size);
  return out;
}

// contentEncoding and contentType, both empty.
std::string_view protobuf_envelope_tail() { return {"\x1a\0\x22\0", 4}; }

}  // namespace rusternetes::apimachinery
