#include <fmt/format.h>

#include "apimachinery/base64.h"
#include "apimachinery/json.h"
#include "apimachinery/json_text.h"
#include "apimachinery/time.h"

namespace rusternetes::apimachinery {
namespace {

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  // `value` null: the zero value of the type.
  void write(const Value* value, const Type& type) {
    switch (type.kind) {
      case TypeKind::structure: return structure(value, type, {.skip_type_meta = false});  // of an object in another
      case TypeKind::list: return list(value, *type.element);
      case TypeKind::map: return map(value, *type.element);
      case TypeKind::choice: return choice(value, type);
      case TypeKind::any: return value ? any(*value) : null();
      default: return value ? scalar(*value, type) : zero(type);
    }
  }

  void structure(const Value* value, const Type& type, const JsonOptions& options) {
    out_ += '{';
    bool is_first = true;
    auto separate = [&] {
      if (!is_first) out_ += ',';
      is_first = false;
    };
    std::size_t start = 0;
    if (type.has_type_meta && !options.kind.empty()) {
      separate();
      out_ += "\"kind\":";
      append_json_string(out_, options.kind);
      out_ += ",\"apiVersion\":";
      append_json_string(out_, options.api_version);
    }
    const Value* child = value && value->kind == ValueKind::structure ? value->items : nullptr;
    const Value* end = child ? child + value->size : nullptr;
    if (type.has_type_meta && options.skip_type_meta) {
      start = 2;
      while (child != end && child->field < 2) ++child;
    }
    for (std::size_t i = start; i < type.fields.size(); ++i) {
      const Field& field = type.fields[i];
      const Value* present = nullptr;
      if (child != end && child->field == i) present = child++;
      if (!present && !is_written_when_absent(field)) continue;
      separate();
      out_ += '"';
      out_ += field.name;
      out_ += "\":";
      if (!present && field.is_pointer)
        null();
      else
        write(present, *field.type);
    }
    // Fields that a run-time structure keeps without naming them lie behind the named ones, as one map.
    if (child != end && type.preserves_unknown && child->kind == ValueKind::map)
      for (std::uint32_t i = 0; i < child->size; ++i) {
        separate();
        append_json_string(out_, child->items[2 * i].str());
        out_ += ':';
        any(child->items[2 * i + 1]);
      }
    out_ += '}';
  }

  void any(const Value& value) {
    switch (value.kind) {
      case ValueKind::null: return null();
      case ValueKind::boolean: out_ += value.boolean ? "true" : "false"; return;
      case ValueKind::integer: out_ += std::string_view(fmt::format_int(value.integer).c_str()); return;
      case ValueKind::floating: append_json_double(out_, value.floating); return;
      case ValueKind::time: append_json_string(out_, format_time(value.integer)); return;
      case ValueKind::raw: out_ += value.str(); return;
      case ValueKind::list:
        out_ += '[';
        for (std::uint32_t i = 0; i < value.size; ++i) {
          if (i) out_ += ',';
          any(value.items[i]);
        }
        out_ += ']';
        return;
      case ValueKind::map:
        out_ += '{';
        for (std::uint32_t i = 0; i < value.size; ++i) {
          if (i) out_ += ',';
          append_json_string(out_, value.items[2 * i].str());
          out_ += ':';
          any(value.items[2 * i + 1]);
        }
        out_ += '}';
        return;
      default: append_json_string(out_, value.str());
    }
  }

 private:
  void null() { out_ += "null"; }

  // Go prints a zero value unless omitempty applies, and omitempty never applies to a structure.
  static bool is_written_when_absent(const Field& field) {
    if (field.is_pointer || field.is_omitzero) return !field.is_omitempty && !field.is_omitzero;
    if (!field.is_omitempty) return true;
    switch (field.type->kind) {
      case TypeKind::structure:
      case TypeKind::time:
      case TypeKind::micro_time:
      case TypeKind::quantity:
      case TypeKind::int_or_string:
      case TypeKind::duration:
      case TypeKind::raw:
      case TypeKind::choice: return true;
      default: return false;
    }
  }

  void zero(const Type& type) {
    switch (type.kind) {
      case TypeKind::string: out_ += "\"\""; return;
      case TypeKind::boolean: out_ += "false"; return;
      case TypeKind::int32:
      case TypeKind::int64:
      case TypeKind::float64:
      case TypeKind::int_or_string: out_ += '0'; return;
      case TypeKind::quantity: out_ += "\"0\""; return;
      case TypeKind::duration: out_ += "\"0s\""; return;
      default: null();
    }
  }

  void scalar(const Value& value, const Type& type) {
    switch (value.kind) {
      case ValueKind::null: return null();
      case ValueKind::boolean: out_ += value.boolean ? "true" : "false"; return;
      case ValueKind::integer:
        if (type.kind == TypeKind::duration)
          append_json_string(out_, format_duration(value.integer));
        else
          out_ += std::string_view(fmt::format_int(value.integer).c_str());
        return;
      case ValueKind::floating: append_json_double(out_, value.floating); return;
      case ValueKind::bytes:
        out_ += '"';
        base64_append(out_, value.str());
        out_ += '"';
        return;
      case ValueKind::raw: out_ += value.str(); return;
      case ValueKind::time:
        out_ += '"';
        out_ += type.kind == TypeKind::micro_time ? format_micro_time(value.integer) : format_time(value.integer);
        out_ += '"';
        return;
      default: append_json_string(out_, value.str());
    }
  }

  void list(const Value* value, const Type& element) {
    if (!value) return null();
    out_ += '[';
    for (std::uint32_t i = 0; i < value->size; ++i) {
      if (i) out_ += ',';
      write(&value->items[i], element);
    }
    out_ += ']';
  }

  void map(const Value* value, const Type& element) {
    if (!value) return null();
    out_ += '{';
    for (std::uint32_t i = 0; i < value->size; ++i) {
      if (i) out_ += ',';
      append_json_string(out_, value->items[2 * i].str());
      out_ += ':';
      write(&value->items[2 * i + 1], element);
    }
    out_ += '}';
  }

  void choice(const Value* value, const Type& type) {
    if (!value) return null();
    if (value->kind == ValueKind::boolean) return scalar(*value, type);
    const TypeKind shape = value->kind == ValueKind::list ? TypeKind::list : TypeKind::structure;
    for (const auto& one : type.choices)
      if (one.json_shape == shape) return write(value, *one.type);
    null();
  }

  std::string& out_;
};

}  // namespace

void encode_json(std::string& out, const Value* value, const Type& type, const JsonOptions& options) {
  Encoder encoder(out);
  if (type.kind == TypeKind::structure)
    encoder.structure(value, type, options);
  else
    encoder.write(value, type);
}

void encode_json(std::string& out, const Value& value, const Type& type) {
  encode_json(out, &value, type, JsonOptions{{}, {}, false});
}

void encode_json_any(std::string& out, const Value& value) { Encoder(out).any(value); }

}  // namespace rusternetes::apimachinery
