// Request bodies.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "api-server/server.h"
#include "api-server/strategy.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "apimachinery/quote.h"
#include "apimachinery/yaml.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

Status wrong_kind(const Kind& kind, std::string_view got_version, std::string_view got_kind) {
  if (got_kind == kind.kind && got_version != kind.group_version.text())
    return bad_request(fmt::format("the API version in the data ({}) does not match the expected API version ({})", got_version, kind.group_version.text()));
  return bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}: converting ({}) to ({}.{}): unknown conversion",
                                 got_kind, kind.group_version.version, kind.kind, got_kind, kind.group_version.version, kind.kind));
}

}  // namespace

Result<Value> decode_body(Call& call, const Kind& kind, MediaType type, std::string_view body) {
  Arena& arena = call.arena;
  if (body.empty() && type != MediaType::protobuf)
    return bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}: EOF", kind.kind, kind.group_version.version, kind.kind));
  Value value;
  DecodeIssues issues;
  std::string api_version, kind_name;
  if (type == MediaType::protobuf) {
    RN_TRY(const auto envelope, open_protobuf_envelope(body));
    api_version = envelope.api_version;
    kind_name = envelope.kind;
    if (!kind_name.empty() && (kind_name != kind.kind || api_version != kind.group_version.text())) return wrong_kind(kind, api_version, kind_name);
    RN_TRY(value, decode_protobuf(arena, envelope.raw, *kind.type));
  } else {
    if (body == "null") body = "{}";  // as Go reads it
    DecodeIssues* sink = call.field_validation == FieldValidation::ignore ? nullptr : &issues;
    auto decoded = type == MediaType::yaml ? decode_yaml(arena, body, *kind.type, sink)
                                           : decode_json(arena, body, *kind.type, sink);
    if (!decoded)
      return bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", kind.kind, kind.group_version.version, kind.kind, decoded.error().message));
    value = *decoded;
    if (kind.type->has_type_meta) {
      if (const Value* v = value.get(1)) api_version = v->str();
      if (const Value* k = value.get(0)) kind_name = k->str();
    }
    if ((!kind_name.empty() && kind_name != kind.kind) || (!api_version.empty() && api_version != kind.group_version.text()))
      return wrong_kind(kind, api_version, kind_name);
  }
  if (!issues.messages.empty()) {
    if (call.field_validation == FieldValidation::strict)
      return bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}", kind.kind, kind.group_version.version, kind.kind, fmt::join(issues.messages, ", ")));
    for (auto& message : issues.messages) call.warnings.add(std::move(message));
  }
  if (kind.type->has_type_meta) {
    erase_field(value, 0);
    erase_field(value, 1);
  }
  if (!kind.resource.empty()) strategy_for(kind.group_version.group, kind.resource).set_defaults(kind, arena, value);
  return value;
}

Result<DeleteOptions> decode_delete_options(Call& call, MediaType type, std::string_view body) {
  DeleteOptions out;
  std::vector<std::string> dry_run;
  const Query& query = call.info.query;
  if (body.empty()) {
    if (const auto text = query.get("gracePeriodSeconds"); !text.empty()) {
      std::int64_t seconds = 0;
      if (std::from_chars(text.data(), text.data() + text.size(), seconds).ec != std::errc{})
        return bad_request(fmt::format("strconv.ParseInt: parsing \"{}\": invalid syntax", text));
      out.grace_period_s = seconds;
    }
    out.propagation_policy = query.get("propagationPolicy");
    if (query.has("orphanDependents")) out.orphan_dependents = query.boolean("orphanDependents");
    for (const auto value : query.all("dryRun")) dry_run.emplace_back(value);
  } else {
    using O = meta_v1::DeleteOptions;
    Value value;
    if (type == MediaType::protobuf) {
      RN_TRY(const auto envelope, open_protobuf_envelope(body));
      RN_TRY(value, decode_protobuf(call.arena, envelope.raw, O::schema_type()));
    } else {
      auto decoded = type == MediaType::yaml ? decode_yaml(call.arena, body, O::schema_type()) : decode_json(call.arena, body, O::schema_type());
      if (!decoded) return bad_request(decoded.error().message);
      value = *decoded;
    }
    const O options(&value);
    if (!options.kind().empty() && options.kind() != "DeleteOptions")
      return bad_request(fmt::format("decoded object cannot be converted to DeleteOptions: {}", options.kind()));
    if (options.has_gracePeriodSeconds()) out.grace_period_s = options.gracePeriodSeconds();
    if (options.has_orphanDependents()) out.orphan_dependents = options.orphanDependents();
    out.propagation_policy = options.propagationPolicy();
    if (options.preconditions().has_uid()) out.uid = std::string(options.preconditions().uid());
    if (options.preconditions().has_resourceVersion()) out.resource_version = std::string(options.preconditions().resourceVersion());
    for (const auto word : options.dryRun()) dry_run.emplace_back(word);
  }
  auto refuse = [](std::string_view field, std::string what) {
    return invalid("meta.k8s.io", "DeleteOptions", "", {{"FieldValueInvalid", what, std::string(field)}}, fmt::format("{}: {}", field, what));
  };
  call.dry_run |= !dry_run.empty();
  for (const auto& word : dry_run)
    if (word != "All") {
      const std::string what = fmt::format("Unsupported value: [{}]: supported values: \"All\"", quote(word));
      return invalid("meta.k8s.io", "DeleteOptions", "", {{"FieldValueNotSupported", what, "dryRun"}}, "dryRun: " + what);
    }
  if (out.orphan_dependents && !out.propagation_policy.empty())
    return refuse("propagationPolicy", "Invalid value: \"" + out.propagation_policy + "\": orphanDependents and deletionPropagation cannot be both set");
  if (!out.propagation_policy.empty() && out.propagation_policy != "Orphan" && out.propagation_policy != "Background" && out.propagation_policy != "Foreground")
    return refuse("propagationPolicy", fmt::format("Unsupported value: \"{}\": supported values: \"Background\", \"Foreground\", \"Orphan\", \"nil\"", out.propagation_policy));
  return out;
}

}  // namespace rusternetes::api_server
