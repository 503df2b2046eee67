// The JSON tokenizer is Boost.JSON's SAX parser; numbers reach the builder as text, so that none is misread.

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <string>

#include "apimachinery/json.h"

namespace rusternetes::apimachinery {
namespace {

namespace bj = boost::json;

class Handler {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  explicit Handler(TypedBuilder& builder) : builder_(builder) {}

  bool on_document_begin(bj::error_code&) { return true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code& ec) { return check(builder_.begin_object(), ec); }
  bool on_object_end(std::size_t, bj::error_code& ec) { return check(builder_.end_object(), ec); }
  bool on_array_begin(bj::error_code& ec) { return check(builder_.begin_array(), ec); }
  bool on_array_end(std::size_t, bj::error_code& ec) { return check(builder_.end_array(), ec); }
  bool on_key_part(bj::string_view part, std::size_t, bj::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(bj::string_view part, std::size_t, bj::error_code& ec) {
    return check(builder_.key(take(part)), ec);
  }
  bool on_string_part(bj::string_view part, std::size_t, bj::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(bj::string_view part, std::size_t, bj::error_code& ec) {
    return check(builder_.string(take(part)), ec);
  }
  bool on_number_part(bj::string_view part, bj::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t, bj::string_view part, bj::error_code& ec) { return on_number(part, ec); }
  bool on_uint64(std::uint64_t, bj::string_view part, bj::error_code& ec) { return on_number(part, ec); }
  bool on_double(double, bj::string_view part, bj::error_code& ec) { return on_number(part, ec); }
  bool on_bool(bool value, bj::error_code& ec) { return check(builder_.boolean(value), ec); }
  bool on_null(bj::error_code& ec) { return check(builder_.null(), ec); }
  bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
  bool on_comment(bj::string_view, bj::error_code&) { return true; }

 private:
  bool on_number(bj::string_view part, bj::error_code& ec) { return check(builder_.number(take(part)), ec); }
  // The whole token: the parts before, if any, and the last one.
  std::string_view take(bj::string_view part) {
    if (text_.empty()) return {part.data(), part.size()};
    text_.append(part.data(), part.size());
    taken_.swap(text_);
    text_.clear();
    return taken_;
  }
  static bool check(bool ok, bj::error_code& ec) {
    if (!ok) ec = bj::error::syntax;  // the builder holds the real error
    return ok;
  }
  TypedBuilder& builder_;
  std::string text_, taken_;
};

}  // namespace

Result<Value> decode_json(Arena& arena, std::string_view text, const Type& type, DecodeIssues* issues) {
  TypedBuilder builder(arena, type, issues);
  bj::parse_options options;
  options.max_depth = 512;
  options.allow_invalid_utf8 = true;  // Go replaces what is invalid; it is replaced when printed
  bj::basic_parser<Handler> parser(options, builder);
  bj::error_code ec;
  std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && read < text.size()) ec = bj::error::extra_data;
  if (!builder.error().message.empty()) return builder.error();
  if (ec == bj::error::extra_data)
    return Status{400, "BadRequest",
                  fmt::format("invalid character '{}' after top-level value", text[std::min(read, text.size() - 1)]),
                  nullptr};
  if (ec == bj::error::incomplete) return Status{400, "BadRequest", "unexpected end of JSON input", nullptr};
  if (ec == bj::error::too_deep) return Status{400, "BadRequest", "exceeded max depth", nullptr};
  if (ec)
    return Status{400, "BadRequest", fmt::format("invalid JSON at byte {}: {}", read, ec.message()), nullptr};
  if (!builder.is_complete()) return Status{400, "BadRequest", "unexpected end of JSON input", nullptr};
  return builder.result();
}

Result<Value> decode_json_any(Arena& arena, std::string_view text) { return decode_json(arena, text, any_type()); }

namespace {

bool replay(const Value& value, TypedBuilder& builder) {
  switch (value.kind) {
    case ValueKind::null: return builder.null();
    case ValueKind::boolean: return builder.boolean(value.boolean);
    case ValueKind::integer: return builder.number(fmt::format_int(value.integer).str());
    case ValueKind::floating: {
      std::string text;
      encode_json_any(text, value);
      return builder.number(text);
    }
    case ValueKind::list:
      if (!builder.begin_array()) return false;
      for (const auto& item : value.children())
        if (!replay(item, builder)) return false;
      return builder.end_array();
    case ValueKind::map:
      if (!builder.begin_object()) return false;
      for (std::uint32_t i = 0; i < value.size; ++i)
        if (!builder.key(value.items[2 * i].str()) || !replay(value.items[2 * i + 1], builder)) return false;
      return builder.end_object();
    default: return builder.string(value.str());
  }
}

}  // namespace

Result<Value> convert_any(Arena& arena, const Value& any, const Type& type, DecodeIssues* issues) {
  TypedBuilder builder(arena, type, issues);
  if (!replay(any, builder)) return builder.error();
  if (!builder.is_complete()) return internal_error("the document is not complete");
  return builder.result();
}

// Printing and reading again is what Kubernetes does before it patches, and keeps one set of rules.
Result<Value> to_any(Arena& arena, const Value& value, const Type& type) {
  std::string text;
  encode_json(text, value, type);
  return decode_json_any(arena, text);
}

}  // namespace rusternetes::apimachinery
