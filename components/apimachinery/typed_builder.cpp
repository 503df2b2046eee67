#include "apimachinery/typed_builder.h"

#include <fmt/format.h>

#include <charconv>

#include "apimachinery/base64.h"
#include "apimachinery/json_text.h"
#include "apimachinery/quantity.h"
#include "apimachinery/time.h"

namespace rusternetes::apimachinery {

const Type& any_type() {
  static const Type type = [] {
    Type t;
    t.kind = TypeKind::any;
    return t;
  }();
  return type;
}

std::string go_type_name(const Type& type) {
  switch (type.kind) {
    case TypeKind::structure: {
      const auto slash = type.name.find('/');
      return std::string(slash == std::string_view::npos ? type.name : type.name.substr(slash + 1));
    }
    case TypeKind::list: return type.name.empty() ? "[]" + go_type_name(*type.element) : std::string(type.name);
    case TypeKind::map: return "map[string]" + go_type_name(*type.element);
    case TypeKind::string: return "string";
    case TypeKind::boolean: return "bool";
    case TypeKind::int32: return "int32";
    case TypeKind::int64: return "int64";
    case TypeKind::float64: return "float64";
    case TypeKind::bytes: return "[]uint8";
    default: return std::string(type.name);
  }
}

TypedBuilder::TypedBuilder(Arena& arena, const Type& type, DecodeIssues* issues)
    : arena_(arena), root_type_(type), issues_(issues) {
  frames_.reserve(16);
}

bool TypedBuilder::fail(std::string message) {
  error_ = Status{400, "BadRequest", std::move(message), nullptr};
  return false;
}

// With indexes as in strict errors ("spec.containers[0].x"), without as in Go's unmarshal errors.
std::string TypedBuilder::path(bool with_indexes) const {
  std::string out;
  for (const auto& frame : frames_) {
    if (frame.mode == Mode::structure && frame.field >= 0) {
      if (!out.empty()) out += '.';
      out += frame.type->fields[static_cast<std::size_t>(frame.field)].name;
    } else if (frame.mode == Mode::map && frame.key.data()) {
      if (!out.empty()) out += '.';
      out += frame.key;
    } else if (frame.mode == Mode::list && with_indexes) {
      out += fmt::format("[{}]", frame.value.size);
    }
  }
  return out;
}

std::string TypedBuilder::child_path(std::string_view name) const {
  std::string out = path(true);
  if (!out.empty()) out += '.';
  return out += name;
}

bool TypedBuilder::mismatch(std::string_view json_kind, const Type& type) {
  for (auto it = frames_.rbegin(); it != frames_.rend(); ++it) {
    if (it->mode != Mode::structure) continue;
    const auto dot = it->type->name.rfind('.');
    return fail(fmt::format("json: cannot unmarshal {} into Go struct field {}.{} of type {}", json_kind,
                            it->type->name.substr(dot + 1), path(false), go_type_name(type)));
  }
  return fail(fmt::format("json: cannot unmarshal {} into Go value of type {}", json_kind, go_type_name(type)));
}

// The type of the value that comes next; null when its field is unknown.
const Type* TypedBuilder::expected() const {
  if (frames_.empty()) return &root_type_;
  const Frame& frame = frames_.back();
  if (frame.mode == Mode::structure)
    return frame.field < 0 ? nullptr : frame.type->fields[static_cast<std::size_t>(frame.field)].type;
  return frame.type->kind == TypeKind::any ? frame.type : frame.type->element;
}

bool TypedBuilder::open(bool is_object) {
  if (in_text()) {
    text_separator();
    raw_text_ += is_object ? '{' : '[';
    ++raw_depth_;
    return true;
  }
  const Type* type = expected();
  if (type && type->kind == TypeKind::choice) {
    const Type* chosen = nullptr;
    for (const auto& choice : type->choices)
      if ((choice.json_shape == TypeKind::structure && is_object) ||
          (choice.json_shape == TypeKind::list && !is_object))
        chosen = choice.type;
    if (!chosen) return mismatch(is_object ? "object" : "array", *type);
    type = chosen;
  }
  Frame frame{type, {}, Mode::skip, -1, {}, {}};
  if (!type || type->kind == TypeKind::raw || type->kind == TypeKind::fields_v1) {
    frame.mode = type ? Mode::raw : Mode::skip;
    raw_text_.assign(1, is_object ? '{' : '[');
    raw_depth_ = 1;
    raw_after_key_ = false;
  } else if (is_object) {
    if (type->kind == TypeKind::structure) {
      frame.mode = Mode::structure;
      frame.value = Value::empty(ValueKind::structure);
    } else if (type->kind == TypeKind::map || type->kind == TypeKind::any) {
      frame.mode = Mode::map;
      frame.value = Value::empty(ValueKind::map);
    } else {
      return mismatch("object", *type);
    }
  } else {
    if (type->kind != TypeKind::list && type->kind != TypeKind::any) return mismatch("array", *type);
    frame.mode = Mode::list;
    frame.value = Value::empty(ValueKind::list);
  }
  frames_.push_back(frame);
  return true;
}

bool TypedBuilder::begin_object() { return open(true); }
bool TypedBuilder::begin_array() { return open(false); }

bool TypedBuilder::key(std::string_view name) {
  if (in_text()) {
    text_separator();
    append_json_string(raw_text_, name);
    raw_text_ += ':';
    raw_after_key_ = true;
    return true;
  }
  Frame& frame = frames_.back();
  if (frame.mode == Mode::map) {
    frame.key = arena_.copy(name);
    return true;
  }
  frame.field = -1;
  const int index = frame.type->find(name);
  if (index < 0) {
    if (issues_) issues_->messages.push_back(fmt::format("unknown field \"{}\"", child_path(name)));
    return true;
  }
  if (frame.seen.test(static_cast<std::size_t>(index))) {
    if (issues_) issues_->messages.push_back(fmt::format("duplicate field \"{}\"", child_path(name)));
    if (const Value* before = frame.value.get(index)) frame.earlier = *before;
    erase_field(frame.value, index);
  }
  frame.seen.set(static_cast<std::size_t>(index));
  frame.field = index;
  return true;
}

bool TypedBuilder::close() {
  if (in_text() && raw_depth_ > 0) return true;
  Frame frame = frames_.back();
  frames_.pop_back();
  switch (frame.mode) {
    case Mode::skip: return true;
    case Mode::raw: return put(Value::of_text(arena_.copy(raw_text_), ValueKind::raw), *frame.type);
    case Mode::map: {
      const std::size_t dropped = sort_pairs(frame.value);
      if (dropped && issues_ && frame.type->kind == TypeKind::map)
        issues_->messages.push_back(fmt::format("duplicate field \"{}\"", child_path(frame.key)));
      break;
    }
    default: break;
  }
  return put(frame.value, *frame.type);
}

bool TypedBuilder::end_object() {
  if (in_text()) {
    raw_text_ += '}';
    --raw_depth_;
  }
  return close();
}
bool TypedBuilder::end_array() {
  if (in_text()) {
    raw_text_ += ']';
    --raw_depth_;
  }
  return close();
}

void TypedBuilder::text_separator() {
  if (raw_after_key_) {
    raw_after_key_ = false;
    return;
  }
  if (raw_text_.back() != '{' && raw_text_.back() != '[') raw_text_ += ',';
}

namespace {
bool is_zero(const Value& value) {
  switch (value.kind) {
    case ValueKind::null: return true;
    case ValueKind::boolean: return !value.boolean;
    case ValueKind::integer: return value.integer == 0;
    case ValueKind::floating: return value.floating == 0;
    case ValueKind::string:
    case ValueKind::bytes:
    case ValueKind::raw:
    case ValueKind::structure: return value.size == 0;
    case ValueKind::list:
    case ValueKind::map:
    case ValueKind::time: return false;
  }
  return false;
}
}  // namespace

namespace {

// A second object of the same name is decoded into the first one: fields and keys that it does not name stay.
Value merged(Arena& arena, const Value& earlier, const Value& later) {
  if (earlier.kind != later.kind || (later.kind != ValueKind::structure && later.kind != ValueKind::map)) return later;
  Value out = earlier;
  out.growable = 0;
  if (later.kind == ValueKind::map) {
    for (std::uint32_t i = 0; i < later.size; ++i) set_key(arena, out, later.items[2 * i].str()) = later.items[2 * i + 1];
    return out;
  }
  for (const Value& child : later.children()) {
    const Value* before = earlier.get(child.field);
    const Value value = before ? merged(arena, *before, child) : child;
    Value& place = set_field(arena, out, child.field);
    place = value;
    place.field = child.field;
  }
  return out;
}

}  // namespace

bool TypedBuilder::put(const Value& value, const Type& type) {
  if (frames_.empty()) {
    root_ = value;
    complete_ = true;
    return true;
  }
  Frame& frame = frames_.back();
  if (frame.mode == Mode::structure) {
    const Field& field = frame.type->fields[static_cast<std::size_t>(frame.field)];
    bool keep = value.kind != ValueKind::null;
    if (keep && !field.is_pointer) {
      keep = !is_zero(value) || (type.kind == TypeKind::int_or_string && value.kind == ValueKind::string);
      if ((value.kind == ValueKind::list || value.kind == ValueKind::map) && value.size == 0)
        // An explicitly empty managedFields is a client's wish to clear them; the list itself never reaches the store.
        keep = (!field.is_omitempty && type.kind != TypeKind::any) || field.name == "managedFields";
    }
    if (keep) {
      Value& place = set_field(arena_, frame.value, frame.field);
      const auto index = place.field;
      place = frame.earlier.is_null() ? value : merged(arena_, frame.earlier, value);
      place.field = index;
    }
    frame.earlier = Value{};
    frame.field = -1;
  } else if (frame.mode == Mode::list) {
    append(arena_, frame.value, value);
  } else {
    append_pair(arena_, frame.value, frame.key, value);
    frame.key = {};
  }
  return true;
}

bool TypedBuilder::string(std::string_view text) {
  if (in_text()) {
    text_separator();
    append_json_string(raw_text_, text);
    return true;
  }
  const Type* type = expected();
  return type ? scalar_string(text, *type) : true;
}

bool TypedBuilder::scalar_string(std::string_view text, const Type& type) {
  switch (type.kind) {
    case TypeKind::string:
    case TypeKind::any:
    case TypeKind::int_or_string: return put(Value::of_text(arena_.copy(text)), type);
    case TypeKind::quantity: {
      auto canonical = canonical_quantity(text);
      if (!canonical) return fail(canonical.error().message);
      return put(Value::of_text(arena_.copy(*canonical)), type);
    }
    case TypeKind::time:
    case TypeKind::micro_time: {
      auto micros = parse_time(text);
      if (!micros) return fail(micros.error().message);
      std::int64_t us = *micros;
      if (type.kind == TypeKind::time) us -= ((us % 1'000'000) + 1'000'000) % 1'000'000;
      return put(Value::of_time(us), type);
    }
    case TypeKind::duration: {
      auto nanos = parse_duration(text);
      if (!nanos) return fail(nanos.error().message);
      return put(Value::of_integer(*nanos), type);
    }
    case TypeKind::bytes: {
      auto decoded = base64_decode(text);
      if (!decoded) return fail(decoded.error().message);
      return put(Value::of_text(arena_.copy(*decoded), ValueKind::bytes), type);
    }
    case TypeKind::raw:
    case TypeKind::fields_v1: {
      std::string json;
      append_json_string(json, text);
      return put(Value::of_text(arena_.copy(json), ValueKind::raw), type);
    }
    default: return mismatch("string", type);
  }
}

bool TypedBuilder::number(std::string_view text) {
  if (in_text()) {
    text_separator();
    raw_text_ += text;
    return true;
  }
  const Type* type = expected();
  return type ? scalar_number(text, *type) : true;
}

bool TypedBuilder::scalar_number(std::string_view text, const Type& type) {
  const char* end = text.data() + text.size();
  std::int64_t integer = 0;
  const auto [at, error] = std::from_chars(text.data(), end, integer);
  const bool is_integer = error == std::errc{} && at == end;
  switch (type.kind) {
    case TypeKind::int_or_string:
    case TypeKind::int32:
      if (!is_integer || integer != static_cast<std::int32_t>(integer)) {
        static const Type int32 = [] {
          Type t;
          t.kind = TypeKind::int32;
          return t;
        }();
        return mismatch(fmt::format("number {}", text), type.kind == TypeKind::int32 ? type : int32);
      }
      return put(Value::of_integer(integer), type);
    case TypeKind::int64:
      if (!is_integer) return mismatch(fmt::format("number {}", text), type);
      return put(Value::of_integer(integer), type);
    case TypeKind::float64:
    case TypeKind::any: {
      if (type.kind == TypeKind::any && is_integer) return put(Value::of_integer(integer), type);
      double d = 0;
      const auto parsed = std::from_chars(text.data(), end, d);
      if (parsed.ec != std::errc{} || parsed.ptr != end) return mismatch(fmt::format("number {}", text), type);
      return put(Value::of_double(d), type);
    }
    case TypeKind::quantity: return scalar_string(text, type);
    case TypeKind::raw: return put(Value::of_text(arena_.copy(text), ValueKind::raw), type);
    default: return mismatch("number", type);
  }
}

bool TypedBuilder::boolean(bool value) {
  if (in_text()) {
    text_separator();
    raw_text_ += value ? "true" : "false";
    return true;
  }
  const Type* type = expected();
  if (!type) return true;
  if (type->kind == TypeKind::raw) return put(Value::of_text(value ? "true" : "false", ValueKind::raw), *type);
  if (type->kind == TypeKind::choice) {
    for (const auto& choice : type->choices)
      if (choice.json_shape == TypeKind::boolean) return put(Value::of(value), *type);
  }
  if (type->kind != TypeKind::boolean && type->kind != TypeKind::any) return mismatch("bool", *type);
  return put(Value::of(value), *type);
}

bool TypedBuilder::null() {
  if (in_text()) {
    text_separator();
    raw_text_ += "null";
    return true;
  }
  const Type* type = expected();
  if (!type) return true;
  if (type->kind == TypeKind::any) return put(Value{}, *type);
  if (frames_.empty()) return fail("the document is null");
  Frame& frame = frames_.back();
  if (frame.mode == Mode::structure) {  // null leaves a field as it was
    frame.field = -1;
    return true;
  }
  // A null element is the zero value of its type in Go.
  switch (type->kind) {
    case TypeKind::structure: return put(Value::empty(ValueKind::structure), *type);
    case TypeKind::string: return put(Value::of_text(""), *type);
    case TypeKind::bytes: return put(Value::of_text("", ValueKind::bytes), *type);
    case TypeKind::raw: return put(Value::of_text("null", ValueKind::raw), *type);
    case TypeKind::quantity: return put(Value::of_text("0"), *type);
    case TypeKind::boolean: return put(Value::of(false), *type);
    case TypeKind::int32:
    case TypeKind::int64:
    case TypeKind::int_or_string: return put(Value::of_integer(0), *type);
    case TypeKind::list: return put(Value::empty(ValueKind::list), *type);
    case TypeKind::map: return put(Value::empty(ValueKind::map), *type);
    default: return put(Value{}, *type);
  }
}

}  // namespace rusternetes::apimachinery
