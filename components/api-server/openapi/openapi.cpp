#include "api-server/openapi/openapi.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include "api-server/openapi/gnostic.h"
#include "api-server/openapi/operation.h"
#include "api-server/openapi/paths.h"
#include "api-server/openapi/schemas.h"

namespace rusternetes::api_server::openapi {

using namespace apimachinery;

namespace {

constexpr std::string_view info = R"({"title":"Kubernetes","version":"1.35"})";
constexpr std::string_view security_scheme =
    R"({"BearerToken":{"type":"apiKey","description":"A bearer token: Bearer, a space and the token.","name":"authorization","in":"header"}})";

std::string hash_of(std::string_view text) {
  unsigned char digest[SHA512_DIGEST_LENGTH];
  SHA512(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string out;
  for (const unsigned char byte : digest) out += fmt::format("{:02X}", byte);
  return out;
}

std::string document_name(const GroupVersion& version) {
  return version.group.empty() ? fmt::format("api/{}", version.version)
                               : fmt::format("apis/{}/{}", version.group, version.version);
}

const Type* builtin_type(std::string_view name) {
  for (const Type* type : builtin_schema().types)
    if (type->name == name) return type;
  return nullptr;
}

const std::vector<std::string_view>& object_types() {
  static const auto& types =
      *new std::vector<std::string_view>(std::begin(object_media_types), std::end(object_media_types));
  return types;
}

// The resource list of a group version.
void add_resource_list(PathItems& paths, Schemas& schemas, const GroupVersion& version) {
  const std::string group = tag_group(version.group);
  add_plain_path(paths, schemas,
                 {fmt::format("/{}/", document_name(version)),
                  fmt::format("get{}{}APIResources", capitalized(group), capitalized(version.version)),
                  fmt::format("{}_{}", group, version.version), "Lists the resources of this version.",
                  schemas.add(*builtin_type("meta/v1.APIResourceList")), object_types()});
}

void add_group(PathItems& paths, Schemas& schemas, std::string_view group) {
  const std::string tag = tag_group(group);
  add_plain_path(
      paths, schemas,
      {fmt::format("/apis/{}/", group), fmt::format("get{}APIGroup", capitalized(tag)), tag,
       "Tells the versions of this group.", schemas.add(*builtin_type("meta/v1.APIGroup")), object_types()});
}

// The documents that are about one path each: their names are their paths, without the slashes at both ends.
constexpr std::string_view plain_names[] = {".well-known/openid-configuration", "api", "apis",
                                            "openid/v1/jwks", "version"};

void add_plain(PathItems& paths, Schemas& schemas, std::string_view name) {
  const std::string path = fmt::format("/{}/", name);
  if (name == "api")
    add_plain_path(paths, schemas,
                   {path, "getCoreAPIVersions", "core", "Tells the versions of the core group.",
                    schemas.add(*builtin_type("meta/v1.APIVersions")), object_types()});
  else if (name == "apis")
    add_plain_path(paths, schemas,
                   {path, "getAPIVersions", "apis", "Lists the groups and their versions.",
                    schemas.add(*builtin_type("meta/v1.APIGroupList")), object_types()});
  else if (name == "version")
    add_plain_path(paths, schemas,
                   {path,
                    "getCodeVersion",
                    "version",
                    "Tells the server's version.",
                    schemas.add_word("io.k8s.apimachinery.pkg.version.Info"),
                    {"application/json"}});
  else if (name == "openid/v1/jwks")
    add_plain_path(paths, schemas,
                   {path,
                    "getServiceAccountIssuerOpenIDKeyset",
                    "openid",
                    "The public keys that verify service account tokens.",
                    "",
                    {"application/jwk-set+json"}});
  else if (name == ".well-known/openid-configuration")
    add_plain_path(paths, schemas,
                   {path,
                    "getServiceAccountIssuerOpenIDConfiguration",
                    "WellKnown",
                    "The OpenID discovery document of the issuer of service account tokens.",
                    "",
                    {"application/json"}});
  else
    add_group(paths, schemas, name.substr(5));  // "apis/apps"
}

void write_paths(JsonWriter& out, const PathItems& paths) {
  out.key("paths");
  out.open('{');
  for (const auto& [path, item] : paths) out.member_raw(path, item);
  out.close('}');
}

}  // namespace

OpenApi::OpenApi(std::shared_ptr<const Registry> registry) : registry_(std::move(registry)) {
  for (const auto name : plain_names) v3_[std::string(name)];
  for (const Kind* kind : registry_->resources()) {
    v3_[document_name(kind->group_version)].kinds.push_back(kind);
    if (!kind->group_version.group.empty()) v3_[fmt::format("apis/{}", kind->group_version.group)];
  }
}

std::string OpenApi::make_v3(const std::string& name, const Entry& entry) const {
  Schemas schemas(*registry_, Dialect::v3);
  PathItems paths;
  if (entry.kinds.empty()) {
    add_plain(paths, schemas, name);
  } else {
    add_resource_list(paths, schemas, entry.kinds[0]->group_version);
    for (const Kind* kind : entry.kinds) add_resource_paths(paths, schemas, *kind);
  }
  JsonWriter out;
  out.open('{');
  out.member("openapi", "3.0.0");
  out.member_raw("info", info);
  write_paths(out, paths);
  out.key("components");
  out.open('{');
  if (!schemas.empty()) {
    out.key("schemas");
    schemas.write_all(out);
  }
  out.member_raw("securitySchemes", security_scheme);
  out.close('}');
  out.close('}');
  return out.take();
}

std::string OpenApi::make_v2() const {
  Schemas schemas(*registry_, Dialect::v2);
  PathItems paths;
  for (const auto& [name, entry] : v3_) {
    if (entry.kinds.empty()) {
      add_plain(paths, schemas, name);
      continue;
    }
    add_resource_list(paths, schemas, entry.kinds[0]->group_version);
    for (const Kind* kind : entry.kinds) add_resource_paths(paths, schemas, *kind);
  }
  JsonWriter out;
  out.open('{');
  out.member("swagger", "2.0");
  out.member_raw("info", info);
  write_paths(out, paths);
  out.key("definitions");
  schemas.write_all(out);
  out.member_raw("securityDefinitions", security_scheme);
  out.member_raw("security", R"([{"BearerToken":[]}])");
  out.close('}');
  return out.take();
}

void OpenApi::fill(const std::string& name, const Entry& entry, bool keep) const {
  if (!entry.hash.empty() && (entry.json || !keep)) return;
  std::string text = &entry == &v2_ ? make_v2() : make_v3(name, entry);
  if (entry.hash.empty()) entry.hash = hash_of(text);
  if (keep) entry.json = std::make_shared<const std::string>(std::move(text));
}

OpenApi::Document OpenApi::index() const {
  std::lock_guard lock(mutex_);
  if (index_.body) return index_;
  JsonWriter out;
  out.open('{');
  out.key("paths");
  out.open('{');
  for (const auto& [name, entry] : v3_) {
    // Only the hash is kept: most clients ask for few of the documents.
    fill(name, entry, false);
    out.key(name);
    out.open('{');
    out.member("serverRelativeURL", fmt::format("/openapi/v3/{}?hash={}", name, entry.hash));
    out.close('}');
  }
  out.close('}');
  out.close('}');
  std::string text = out.take();
  index_.hash = hash_of(text);
  index_.body = std::make_shared<const std::string>(std::move(text));
  return index_;
}

std::optional<OpenApi::Document> OpenApi::v3_json(std::string_view name) const {
  std::lock_guard lock(mutex_);
  const auto found = v3_.find(name);
  if (found == v3_.end()) return std::nullopt;
  fill(found->first, found->second, true);
  return Document{found->second.json, found->second.hash};
}

std::optional<Result<OpenApi::Document>> OpenApi::v3_protobuf(std::string_view name) const {
  std::lock_guard lock(mutex_);
  const auto found = v3_.find(name);
  if (found == v3_.end()) return std::nullopt;
  const Entry& entry = found->second;
  if (!entry.protobuf) {
    const auto text =
        entry.json ? entry.json : std::make_shared<const std::string>(make_v3(found->first, entry));
    auto encoded = gnostic_v3(*text);
    if (!encoded) return Result<Document>(encoded.error());
    if (entry.hash.empty()) entry.hash = hash_of(*text);
    entry.protobuf = std::make_shared<const std::string>(std::move(*encoded));
  }
  return Result<Document>(Document{entry.protobuf, entry.hash});
}

OpenApi::Document OpenApi::v2_json() const {
  std::lock_guard lock(mutex_);
  fill({}, v2_, true);
  return {v2_.json, v2_.hash};
}

Result<OpenApi::Document> OpenApi::v2_protobuf() const {
  std::lock_guard lock(mutex_);
  if (!v2_.protobuf) {
    const auto text = v2_.json ? v2_.json : std::make_shared<const std::string>(make_v2());
    RN_TRY(std::string encoded, gnostic_v2(*text));
    if (v2_.hash.empty()) v2_.hash = hash_of(*text);
    v2_.protobuf = std::make_shared<const std::string>(std::move(encoded));
  }
  return Document{v2_.protobuf, v2_.hash};
}

std::vector<std::string> OpenApi::v3_names() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : v3_) out.push_back(name);
  return out;
}

}  // namespace rusternetes::api_server::openapi
