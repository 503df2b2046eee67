#pragma once
// Turns a stream of JSON events into a value of a schema type. The JSON and YAML decoders and the conversion of
// schemaless trees all end here, so unknown fields, duplicates, zero values and error texts are the same everywhere.

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// What strict decoding complains of (fieldValidation=Warn|Strict), as `unknown field "spec.foo"`.
struct DecodeIssues {
  std::vector<std::string> messages;
};

// Events return false once `error()` is set; the caller stops then. Text given to the builder is copied into the arena.
class TypedBuilder {
 public:
  // `issues` may be null: then unknown and duplicate fields pass silently (the last duplicate wins, but objects are merged, as Go's decoder does).
  TypedBuilder(Arena& arena, const Type& type, DecodeIssues* issues);

  bool begin_object();
  bool key(std::string_view name);
  bool end_object();
  bool begin_array();
  bool end_array();
  bool string(std::string_view text);
  // `text` is a JSON number as written.
  bool number(std::string_view text);
  bool boolean(bool value);
  bool null();

  const Status& error() const { return error_; }
  // The finished value; only after the event that closed the root.
  const Value& result() const { return root_; }
  bool is_complete() const { return complete_; }

 private:
  enum class Mode : std::uint8_t { structure, list, map, raw, skip };
  struct Frame {
    const Type* type;
    Value value;
    Mode mode;
    int field = -1;        // structure: the child that comes next; -1: unknown, skip it
    std::string_view key;  // map
    std::bitset<128> seen;
    Value earlier;  // what a duplicate field said before; null when there was nothing
  };

  const Type* expected() const;
  bool open(bool is_object);
  bool close();
  bool put(const Value& value, const Type& type);
  bool scalar_string(std::string_view text, const Type& type);
  bool scalar_number(std::string_view text, const Type& type);
  bool fail(std::string message);
  bool mismatch(std::string_view json_kind, const Type& type);
  std::string path(bool with_indexes) const;
  std::string child_path(std::string_view name) const;
  // While a raw or skipped value is open, events only write its text.
  bool in_text() const { return !frames_.empty() && (frames_.back().mode == Mode::raw || frames_.back().mode == Mode::skip); }
  void text_separator();

  Arena& arena_;
  const Type& root_type_;
  DecodeIssues* issues_;
  std::vector<Frame> frames_;
  Value root_;
  bool complete_ = false;
  Status error_;
  std::string raw_text_;
  int raw_depth_ = 0;
  bool raw_after_key_ = false;
};

// A schemaless type: objects become maps, nothing is unknown.
const Type& any_type();
// The Go name of a type as it stands in decoding errors: "int32", "v1.PodSpec", "map[string]string".
std::string go_type_name(const Type& type);

}  // namespace rusternetes::apimachinery
