#include "api-server/openapi/gnostic.h"

#include <fmt/format.h>

#include <bit>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <span>

#include "api-server/openapi/gnostic_yaml.h"

namespace rusternetes::api_server::openapi {
namespace {

namespace json = boost::json;

// How a JSON value lies in protobuf.
enum class Form {
  text,
  boolean,
  texts,  // repeated string
  yaml,   // Any {yaml = 2}
  yamls,  // repeated Any
  message,
  messages,      // repeated
  wrapped_text,  // a message {value = 1}: v2 Schema.type
  scalar,        // DefaultType: a number, boolean or text; empty for anything else
};

struct Message;
struct Member {
  std::string_view key;
  std::uint32_t number;
  Form form;
  const Message* message = nullptr;
};

// A oneof: which field the value is, by its look.
struct Chosen {
  std::uint32_t number;
  const Message* message;  // null: a boolean
};

struct Message {
  std::span<const Member> members;
  std::uint32_t extensions = 0;    // repeated NamedAny for keys that start with "x-"
  std::uint32_t others = 0;        // repeated Named... for all other keys
  const Message* other = nullptr;  //   with this value
  Chosen (*choose)(const json::value&) = nullptr;
};

class Writer {
 public:
  Result<std::string> document(const json::value& value, const Message& message) {
    write(value, message);
    if (!lost_.empty()) return internal_error(fmt::format("OpenAPI: protobuf has no place for {}", lost_));
    return std::move(out_);
  }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  void bytes(std::uint32_t number, std::string_view text) {
    varint(number << 3 | 2);
    varint(text.size());
    out_ += text;
  }
  void flag(std::uint32_t number, bool value) {
    varint(number << 3);
    out_ += value ? '\1' : '\0';
  }
  // Writes `body` into the buffer's end and puts its length in front.
  template <class Body>
  void nested(std::uint32_t number, Body body) {
    varint(number << 3 | 2);
    const std::size_t start = out_.size();
    body();
    std::size_t length = out_.size() - start;
    char prefix[10];
    std::size_t size = 0;
    for (; length >= 0x80; length >>= 7) prefix[size++] = static_cast<char>(length | 0x80);
    prefix[size++] = static_cast<char>(length);
    out_.insert(start, prefix, size);
  }
  void any(std::uint32_t number, const json::value& value) {
    nested(number, [&] { bytes(2, yaml_text(value)); });
  }

  void scalar(const json::value& value) {
    if (value.is_bool()) return flag(2, value.get_bool());
    if (value.is_string()) return bytes(3, text(value));
    if (!value.is_number()) return;
    const auto bits = std::bit_cast<std::uint64_t>(value.to_number<double>());
    varint(1 << 3 | 1);
    for (int shift = 0; shift < 64; shift += 8) out_ += static_cast<char>(bits >> shift);
  }

  void write(const json::value& value, const Message& message) {
    if (message.choose) {
      const Chosen chosen = message.choose(value);
      if (!chosen.number) return;
      if (!chosen.message) return flag(chosen.number, value.as_bool());
      return nested(chosen.number, [&] { write(value, *chosen.message); });
    }
    if (!value.is_object()) {
      lost_ = "a value that is no object";
      return;
    }
    for (const auto& entry : value.get_object())
      write_entry({entry.key().data(), entry.key().size()}, entry.value(), message);
  }

  void write_entry(std::string_view key, const json::value& value, const Message& message) {
    for (const auto& member : message.members)
      if (member.key == key) return write_member(member, value);
    if (message.extensions && key.starts_with("x-"))
      return nested(message.extensions, [&] {
        bytes(1, key);
        any(2, value);
      });
    if (message.others)
      return nested(message.others, [&] {
        bytes(1, key);
        nested(2, [&] {
          if (message.other)
            write(value, *message.other);
          else
            for (const auto& word : value.as_array()) bytes(1, text(word));  // NamedStringArray
        });
      });
    lost_ = key;
  }

  static std::string_view text(const json::value& value) {
    return {value.as_string().data(), value.as_string().size()};
  }

  void write_member(const Member& member, const json::value& value) {
    switch (member.form) {
      case Form::text:
        return bytes(member.number, text(value));
      case Form::boolean:
        return flag(member.number, value.as_bool());
      case Form::texts:
        for (const auto& word : value.as_array()) bytes(member.number, text(word));
        return;
      case Form::yaml:
        return any(member.number, value);
      case Form::yamls:
        for (const auto& one : value.as_array()) any(member.number, one);
        return;
      case Form::message:
        return nested(member.number, [&] { write(value, *member.message); });
      case Form::messages:
        for (const auto& one : value.as_array()) nested(member.number, [&] { write(one, *member.message); });
        return;
      case Form::scalar:
        return nested(member.number, [&] { scalar(value); });
      case Form::wrapped_text:
        return nested(member.number, [&] { bytes(1, text(value)); });
    }
  }

  std::string out_, lost_;
};

bool is_reference(const json::value& value) {
  return value.is_object() && value.get_object().contains("$ref");
}

// --- shared ---
constexpr Member reference_members[] = {{"$ref", 1, Form::text}, {"description", 2, Form::text}};
constexpr Message reference{reference_members};
constexpr Message strings_by_name{{}, 0, 1, nullptr};

// --- version 2 ---
extern const Message v2_schema;
constexpr Message v2_items{{}, 0, 0, nullptr, [](const json::value&) { return Chosen{1, &v2_schema}; }};
constexpr Message v2_additional{{}, 0, 0, nullptr, [](const json::value& value) {
                                  return value.is_bool() ? Chosen{2, nullptr} : Chosen{1, &v2_schema};
                                }};
constexpr Message v2_schemas{{}, 0, 1, &v2_schema};
constexpr Member v2_schema_members[] = {{"$ref", 1, Form::text},
                                        {"format", 2, Form::text},
                                        {"description", 4, Form::text},
                                        {"default", 5, Form::yaml},
                                        {"required", 19, Form::texts},
                                        {"enum", 20, Form::yamls},
                                        {"additionalProperties", 21, Form::message, &v2_additional},
                                        {"type", 22, Form::wrapped_text},
                                        {"items", 23, Form::message, &v2_items},
                                        {"allOf", 24, Form::messages, &v2_schema},
                                        {"properties", 25, Form::message, &v2_schemas}};
constexpr Message v2_schema{v2_schema_members, 31};

constexpr Member v2_body_members[] = {{"description", 1, Form::text},
                                      {"name", 2, Form::text},
                                      {"in", 3, Form::text},
                                      {"required", 4, Form::boolean},
                                      {"schema", 5, Form::message, &v2_schema}};
constexpr Message v2_body{v2_body_members, 6};
constexpr Member v2_query_members[] = {{"required", 1, Form::boolean}, {"in", 2, Form::text},
                                       {"description", 3, Form::text}, {"name", 4, Form::text},
                                       {"type", 6, Form::text},        {"uniqueItems", 20, Form::boolean}};
constexpr Message v2_query{v2_query_members, 23};
constexpr Member v2_path_members[] = {{"required", 1, Form::boolean}, {"in", 2, Form::text},
                                      {"description", 3, Form::text}, {"name", 4, Form::text},
                                      {"type", 5, Form::text},        {"uniqueItems", 19, Form::boolean}};
constexpr Message v2_path{v2_path_members, 22};
bool is_in(const json::value& value, std::string_view place) {
  const auto* in = value.get_object().if_contains("in");
  return in && in->is_string() && std::string_view(in->get_string().data(), in->get_string().size()) == place;
}
constexpr Message v2_non_body{{}, 0, 0, nullptr, [](const json::value& value) {
                                return is_in(value, "path") ? Chosen{4, &v2_path} : Chosen{3, &v2_query};
                              }};
constexpr Message v2_parameter{{}, 0, 0, nullptr, [](const json::value& value) {
                                 return is_in(value, "body") ? Chosen{1, &v2_body} : Chosen{2, &v2_non_body};
                               }};
constexpr Message v2_parameter_item{
    {}, 0, 0, nullptr, [](const json::value& value) {
      return is_reference(value) ? Chosen{2, &reference} : Chosen{1, &v2_parameter};
    }};

constexpr Message v2_schema_item{{}, 0, 0, nullptr, [](const json::value&) { return Chosen{1, &v2_schema}; }};
constexpr Member v2_response_members[] = {{"description", 1, Form::text},
                                          {"schema", 2, Form::message, &v2_schema_item}};
constexpr Message v2_response{v2_response_members, 5};
constexpr Message v2_response_value{
    {}, 0, 0, nullptr, [](const json::value& value) {
      return is_reference(value) ? Chosen{2, &reference} : Chosen{1, &v2_response};
    }};
constexpr Message v2_responses{{}, 2, 1, &v2_response_value};
constexpr Member v2_operation_members[] = {{"tags", 1, Form::texts},
                                           {"description", 3, Form::text},
                                           {"operationId", 5, Form::text},
                                           {"produces", 6, Form::texts},
                                           {"consumes", 7, Form::texts},
                                           {"parameters", 8, Form::messages, &v2_parameter_item},
                                           {"responses", 9, Form::message, &v2_responses},
                                           {"schemes", 10, Form::texts}};
constexpr Message v2_operation{v2_operation_members, 13};
constexpr Member v2_item_members[] = {
    {"get", 2, Form::message, &v2_operation},     {"put", 3, Form::message, &v2_operation},
    {"post", 4, Form::message, &v2_operation},    {"delete", 5, Form::message, &v2_operation},
    {"options", 6, Form::message, &v2_operation}, {"head", 7, Form::message, &v2_operation},
    {"patch", 8, Form::message, &v2_operation},   {"parameters", 9, Form::messages, &v2_parameter_item}};
constexpr Message v2_path_item{v2_item_members, 10};
constexpr Message v2_paths{{}, 1, 2, &v2_path_item};

constexpr Member v2_info_members[] = {
    {"title", 1, Form::text}, {"version", 2, Form::text}, {"description", 3, Form::text}};
constexpr Message v2_info{v2_info_members, 7};
constexpr Member v2_key_members[] = {
    {"type", 1, Form::text}, {"name", 2, Form::text}, {"in", 3, Form::text}, {"description", 4, Form::text}};
constexpr Message v2_key{v2_key_members, 5};
constexpr Message v2_security{{}, 0, 0, nullptr, [](const json::value&) { return Chosen{2, &v2_key}; }};
constexpr Message v2_securities{{}, 0, 1, &v2_security};
constexpr Member v2_members[] = {{"swagger", 1, Form::text},
                                 {"info", 2, Form::message, &v2_info},
                                 {"paths", 8, Form::message, &v2_paths},
                                 {"definitions", 9, Form::message, &v2_schemas},
                                 {"security", 12, Form::messages, &strings_by_name},
                                 {"securityDefinitions", 13, Form::message, &v2_securities}};
constexpr Message v2_document{v2_members, 16};

// --- version 3 ---
extern const Message v3_schema_object;
constexpr Message v3_schema{
    {}, 0, 0, nullptr, [](const json::value& value) {
      return is_reference(value) ? Chosen{2, &reference} : Chosen{1, &v3_schema_object};
    }};
constexpr Message v3_items{{}, 0, 0, nullptr, [](const json::value&) { return Chosen{1, &v3_schema}; }};
constexpr Message v3_additional{{}, 0, 0, nullptr, [](const json::value& value) {
                                  return value.is_bool() ? Chosen{2, nullptr} : Chosen{1, &v3_schema};
                                }};
constexpr Message v3_schemas{{}, 0, 1, &v3_schema};
constexpr Member v3_schema_members[] = {{"required", 23, Form::texts},
                                        {"enum", 24, Form::yamls},
                                        {"type", 25, Form::text},
                                        {"allOf", 26, Form::messages, &v3_schema},
                                        {"oneOf", 27, Form::messages, &v3_schema},
                                        {"anyOf", 28, Form::messages, &v3_schema},
                                        {"items", 30, Form::message, &v3_items},
                                        {"properties", 31, Form::message, &v3_schemas},
                                        {"additionalProperties", 32, Form::message, &v3_additional},
                                        {"default", 33, Form::scalar},
                                        {"description", 34, Form::text},
                                        {"format", 35, Form::text},
                                        {"uniqueItems", 20, Form::boolean}};
constexpr Message v3_schema_object{v3_schema_members, 36};

constexpr Member v3_media_members[] = {{"schema", 1, Form::message, &v3_schema}};
constexpr Message v3_media{v3_media_members, 5};
constexpr Message v3_medias{{}, 0, 1, &v3_media};
constexpr Member v3_parameter_members[] = {{"name", 1, Form::text},
                                           {"in", 2, Form::text},
                                           {"description", 3, Form::text},
                                           {"required", 4, Form::boolean},
                                           {"schema", 10, Form::message, &v3_schema}};
constexpr Message v3_parameter_object{v3_parameter_members, 14};
constexpr Message v3_parameter{
    {}, 0, 0, nullptr, [](const json::value& value) {
      return is_reference(value) ? Chosen{2, &reference} : Chosen{1, &v3_parameter_object};
    }};
constexpr Member v3_body_members[] = {{"description", 1, Form::text},
                                      {"content", 2, Form::message, &v3_medias},
                                      {"required", 3, Form::boolean}};
constexpr Message v3_body_object{v3_body_members, 4};
constexpr Message v3_body{{}, 0, 0, nullptr, [](const json::value& value) {
                            return is_reference(value) ? Chosen{2, &reference} : Chosen{1, &v3_body_object};
                          }};
constexpr Member v3_response_members[] = {{"description", 1, Form::text},
                                          {"content", 3, Form::message, &v3_medias}};
constexpr Message v3_response_object{v3_response_members, 5};
constexpr Message v3_response{
    {}, 0, 0, nullptr, [](const json::value& value) {
      return is_reference(value) ? Chosen{2, &reference} : Chosen{1, &v3_response_object};
    }};
constexpr Message v3_responses{{}, 3, 2, &v3_response};
constexpr Member v3_operation_members[] = {{"tags", 1, Form::texts},
                                           {"description", 3, Form::text},
                                           {"operationId", 5, Form::text},
                                           {"parameters", 6, Form::messages, &v3_parameter},
                                           {"requestBody", 7, Form::message, &v3_body},
                                           {"responses", 8, Form::message, &v3_responses}};
constexpr Message v3_operation{v3_operation_members, 13};
constexpr Member v3_item_members[] = {
    {"get", 4, Form::message, &v3_operation},     {"put", 5, Form::message, &v3_operation},
    {"post", 6, Form::message, &v3_operation},    {"delete", 7, Form::message, &v3_operation},
    {"options", 8, Form::message, &v3_operation}, {"head", 9, Form::message, &v3_operation},
    {"patch", 10, Form::message, &v3_operation},  {"parameters", 13, Form::messages, &v3_parameter}};
constexpr Message v3_path_item{v3_item_members, 14};
constexpr Message v3_paths{{}, 2, 1, &v3_path_item};

constexpr Member v3_info_members[] = {
    {"title", 1, Form::text}, {"description", 2, Form::text}, {"version", 6, Form::text}};
constexpr Message v3_info{v3_info_members, 7};
constexpr Member v3_security_members[] = {
    {"type", 1, Form::text}, {"description", 2, Form::text}, {"name", 3, Form::text}, {"in", 4, Form::text}};
constexpr Message v3_security_object{v3_security_members, 9};
constexpr Message v3_security{
    {}, 0, 0, nullptr, [](const json::value& value) {
      return is_reference(value) ? Chosen{2, &reference} : Chosen{1, &v3_security_object};
    }};
constexpr Message v3_securities{{}, 0, 1, &v3_security};
constexpr Member v3_components_members[] = {{"schemas", 1, Form::message, &v3_schemas},
                                            {"securitySchemes", 7, Form::message, &v3_securities}};
constexpr Message v3_components{v3_components_members, 10};
constexpr Member v3_members[] = {{"openapi", 1, Form::text},
                                 {"info", 2, Form::message, &v3_info},
                                 {"paths", 4, Form::message, &v3_paths},
                                 {"components", 5, Form::message, &v3_components}};
constexpr Message v3_document{v3_members, 9};

Result<std::string> encode(std::string_view text, const Message& message) {
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error) return internal_error(fmt::format("OpenAPI: {}", error.message()));
  return Writer{}.document(value, message);
}

}  // namespace

Result<std::string> gnostic_v2(std::string_view json) { return encode(json, v2_document); }
Result<std::string> gnostic_v3(std::string_view json) { return encode(json, v3_document); }

}  // namespace rusternetes::api_server::openapi
