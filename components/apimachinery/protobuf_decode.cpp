#include <cstring>

#include "apimachinery/protobuf.h"
#include "apimachinery/quantity.h"

namespace rusternetes::apimachinery {

bool take_varint(std::string_view& bytes, std::uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (bytes.empty()) return false;
    const auto byte = static_cast<unsigned char>(bytes[0]);
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

namespace {

constexpr int max_depth = 512;

struct WireField {
  std::uint32_t number = 0, wire_type = 0;
  std::uint64_t integer = 0;   // wire types 0, 1, 5
  std::string_view bytes;      // wire type 2
};

bool take_field(std::string_view& message, WireField& field) {
  std::uint64_t tag = 0;
  if (!take_varint(message, tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return false;
  field.number = static_cast<std::uint32_t>(tag >> 3);
  field.wire_type = static_cast<std::uint32_t>(tag & 7);
  switch (field.wire_type) {
    case 0: return take_varint(message, field.integer);
    case 1:
    case 5: {
      const std::size_t size = field.wire_type == 1 ? 8 : 4;
      if (message.size() < size) return false;
      field.integer = 0;
      std::memcpy(&field.integer, message.data(), size);
      message.remove_prefix(size);
      return true;
    }
    case 2: {
      std::uint64_t size = 0;
      if (!take_varint(message, size) || size > message.size()) return false;
      field.bytes = message.substr(0, size);
      message.remove_prefix(size);
      return true;
    }
    default: return false;
  }
}

class Decoder {
 public:
  explicit Decoder(Arena& arena) : arena_(arena) {}
  const char* problem = "";

  bool message(std::string_view bytes, const Type& type, std::span<const ProtoEntry> entries, Value& into, int depth) {
    if (depth > max_depth) return fail("nested too deeply");
    WireField wire;
    while (!bytes.empty()) {
      if (!take_field(bytes, wire)) return fail("damaged");
      const ProtoEntry* entry = nullptr;
      for (const auto& one : entries)
        if (one.number == wire.number) entry = &one;
      if (!entry) continue;
      if (entry->field < 0) {
        if (wire.wire_type != 2) return fail("a message has the wrong wire type");
        if (!message(wire.bytes, type, type.proto.subspan(entry->first_child, entry->child_count), into, depth + 1))
          return false;
        continue;
      }
      if (!field(wire, type.fields[static_cast<std::size_t>(entry->field)], entry->field, into, depth)) return false;
    }
    return true;
  }

 private:
  bool fail(const char* what) {
    problem = what;
    return false;
  }

  bool field(const WireField& wire, const Field& field, int index, Value& into, int depth) {
    const Type& type = *field.type;
    if (type.kind == TypeKind::list && !type.is_wrapped_list) {
      Value& list = set_field(arena_, into, index);
      if (list.is_null()) make(list, ValueKind::list);
      return list_item(wire, *type.element, list, depth);
    }
    if (type.kind == TypeKind::map) {
      Value& map = set_field(arena_, into, index);
      if (map.is_null()) make(map, ValueKind::map);
      return map_entry(wire, type, map, depth);
    }
    Value value;
    if (!single(wire, type, value, depth)) return false;
    if (!field.is_pointer && is_zero(value, type)) {
      erase_field(into, index);
      return true;
    }
    Value& place = set_field(arena_, into, index);
    const auto at = place.field;
    place = value;
    place.field = at;
    return true;
  }

  static void make(Value& value, ValueKind kind) {
    const auto at = value.field;
    value = Value::empty(kind);
    value.field = at;
  }

  static bool is_zero(const Value& value, const Type& type) {
    switch (value.kind) {
      case ValueKind::null: return true;
      case ValueKind::boolean: return !value.boolean && type.kind == TypeKind::boolean;
      case ValueKind::integer: return value.integer == 0;
      case ValueKind::floating: return value.floating == 0;
      case ValueKind::string: return value.size == 0 && type.kind != TypeKind::int_or_string;
      case ValueKind::raw:
      case ValueKind::structure:
      case ValueKind::list: return value.size == 0;
      default: return false;
    }
  }

  bool list_item(const WireField& wire, const Type& element, Value& list, int depth) {
    const bool is_integer = element.kind == TypeKind::int32 || element.kind == TypeKind::int64 ||
                            element.kind == TypeKind::boolean;
    if (is_integer && wire.wire_type == 2) {  // packed
      std::string_view packed = wire.bytes;
      std::uint64_t integer = 0;
      while (!packed.empty()) {
        if (!take_varint(packed, integer)) return fail("damaged");
        append(arena_, list, from_integer(integer, element));
      }
      return true;
    }
    Value item;
    if (!single(wire, element, item, depth)) return false;
    append(arena_, list, item);
    return true;
  }

  bool map_entry(const WireField& wire, const Type& type, Value& map, int depth) {
    if (wire.wire_type != 2) return fail("a map entry has the wrong wire type");
    std::string_view bytes = wire.bytes, key;
    Value value = zero_of(*type.element);
    WireField part;
    while (!bytes.empty()) {
      if (!take_field(bytes, part)) return fail("damaged");
      if (part.number == 1 && part.wire_type == 2) key = part.bytes;
      if (part.number == 2 && !single(part, *type.element, value, depth)) return false;
    }
    Value& place = set_key(arena_, map, key);
    place = value;
    return true;
  }

  static Value zero_of(const Type& type) {
    switch (type.kind) {
      case TypeKind::string: return Value::of_text("");
      case TypeKind::bytes: return Value::of_text("", ValueKind::bytes);
      case TypeKind::quantity: return Value::of_text("0");
      case TypeKind::boolean: return Value::of(false);
      case TypeKind::int32:
      case TypeKind::int64: return Value::of_integer(0);
      case TypeKind::structure: return Value::empty(ValueKind::structure);
      case TypeKind::list: return Value::empty(ValueKind::list);
      case TypeKind::map: return Value::empty(ValueKind::map);
      default: return Value{};
    }
  }

  static Value from_integer(std::uint64_t integer, const Type& type) {
    if (type.kind == TypeKind::boolean) return Value::of(integer != 0);
    if (type.kind == TypeKind::int32) return Value::of_integer(static_cast<std::int32_t>(integer));
    return Value::of_integer(static_cast<std::int64_t>(integer));
  }

  // One value that is not a repeated field.
  bool single(const WireField& wire, const Type& type, Value& value, int depth) {
    switch (type.kind) {
      case TypeKind::boolean:
      case TypeKind::int32:
      case TypeKind::int64:
        if (wire.wire_type != 0) return fail("a number has the wrong wire type");
        value = from_integer(wire.integer, type);
        return true;
      case TypeKind::float64: {
        if (wire.wire_type != 1) return fail("a double has the wrong wire type");
        double d;
        std::memcpy(&d, &wire.integer, 8);
        value = Value::of_double(d);
        return true;
      }
      default: break;
    }
    if (wire.wire_type != 2) return fail("a field has the wrong wire type");
    switch (type.kind) {
      case TypeKind::string: value = Value::of_text(arena_.copy(wire.bytes)); return true;
      case TypeKind::bytes: value = Value::of_text(arena_.copy(wire.bytes), ValueKind::bytes); return true;
      case TypeKind::structure:
        value = Value::empty(ValueKind::structure);
        return message(wire.bytes, type, type.proto.subspan(0, type.proto_roots), value, depth + 1);
      case TypeKind::list: return wrapped(wire.bytes, *type.element, value, depth);
      case TypeKind::map: return fail("a map is nested in a map");
      case TypeKind::choice: return choice(wire.bytes, type, value, depth);
      default: return small(wire.bytes, type, value);
    }
  }

  bool wrapped(std::string_view bytes, const Type& element, Value& value, int depth) {
    value = Value::empty(ValueKind::list);
    WireField wire;
    while (!bytes.empty()) {
      if (!take_field(bytes, wire)) return fail("damaged");
      if (wire.number == 1 && !list_item(wire, element, value, depth + 1)) return false;
    }
    return true;
  }

  bool choice(std::string_view bytes, const Type& type, Value& value, int depth) {
    value = Value{};
    WireField wire;
    while (!bytes.empty()) {
      if (!take_field(bytes, wire)) return fail("damaged");
      for (const auto& one : type.choices) {
        if (one.number != wire.number) continue;
        if (one.json_shape == TypeKind::boolean) {
          if (value.is_null()) value = Value::of(wire.integer != 0);
        } else if (one.json_shape == TypeKind::list) {
          if (value.kind != ValueKind::list) value = Value::empty(ValueKind::list);
          if (!list_item(wire, *one.type->element, value, depth + 1)) return false;
        } else if (!single(wire, *one.type, value, depth + 1)) {
          return false;
        }
      }
    }
    return true;
  }

  // The words that are little messages: Time {1, 2}, Quantity {1}, IntOrString {1, 2, 3}, ...
  bool small(std::string_view bytes, const Type& type, Value& value) {
    const bool is_empty = bytes.empty();
    std::uint64_t numbers[4] = {};
    std::string_view texts[4];
    WireField wire;
    while (!bytes.empty()) {
      if (!take_field(bytes, wire)) return fail("damaged");
      if (wire.number > 3) continue;
      if (wire.wire_type == 2) texts[wire.number] = wire.bytes;
      else numbers[wire.number] = wire.integer;
    }
    switch (type.kind) {
      case TypeKind::quantity: {
        auto canonical = canonical_quantity(texts[1].empty() ? std::string_view("0") : texts[1]);
        if (!canonical) return fail("a quantity is malformed");
        value = Value::of_text(arena_.copy(*canonical));
        return true;
      }
      case TypeKind::duration: value = Value::of_integer(static_cast<std::int64_t>(numbers[1])); return true;
      case TypeKind::raw:
      case TypeKind::fields_v1:
        value = Value::of_text(arena_.copy(texts[1]), ValueKind::raw);
        return true;
      case TypeKind::time:
      case TypeKind::micro_time: {
        if (is_empty) {
          value = Value{};
          return true;
        }
        const auto seconds = static_cast<std::int64_t>(numbers[1]);
        if (seconds > 9'000'000'000'000 || seconds < -9'000'000'000'000) return fail("a time is out of range");
        const std::int64_t micros = type.kind == TypeKind::time ? 0 : static_cast<std::int32_t>(numbers[2]) / 1000;
        value = Value::of_time(seconds * 1'000'000 + micros);
        return true;
      }
      case TypeKind::int_or_string:
        value = numbers[1] == 1 ? Value::of_text(arena_.copy(texts[3]))
                                : Value::of_integer(static_cast<std::int32_t>(numbers[2]));
        return true;
      default: return fail("the type has no protobuf form");
    }
  }

  Arena& arena_;
};

Status damaged(std::string_view what) {
  return Status{400, "BadRequest", "unable to decode protobuf: " + std::string(what), nullptr};
}

}  // namespace

Result<Value> decode_protobuf(Arena& arena, std::string_view bytes, const Type& type) {
  Decoder decoder(arena);
  Value root = Value::empty(ValueKind::structure);
  if (!decoder.message(bytes, type, type.proto.subspan(0, type.proto_roots), root, 0)) return damaged(decoder.problem);
  return root;
}

Result<ProtobufEnvelope> open_protobuf_envelope(std::string_view bytes) {
  if (!has_protobuf_prefix(bytes))
    return damaged("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  bytes.remove_prefix(4);
  ProtobufEnvelope envelope;
  WireField wire, inner;
  while (!bytes.empty()) {
    if (!take_field(bytes, wire)) return damaged("damaged envelope");
    if (wire.wire_type != 2) continue;
    switch (wire.number) {
      case 1:
        for (std::string_view meta = wire.bytes; !meta.empty();) {
          if (!take_field(meta, inner)) return damaged("damaged envelope");
          if (inner.number == 1) envelope.api_version = inner.bytes;
          if (inner.number == 2) envelope.kind = inner.bytes;
        }
        break;
      case 2: envelope.raw = wire.bytes; break;
      case 3: envelope.content_encoding = wire.bytes; break;
      case 4: envelope.content_type = wire.bytes; break;
      default: break;
    }
  }
  return envelope;
}

}  // namespace rusternetes::apimachinery
