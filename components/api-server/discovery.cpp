#include "api-server/discovery.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/sha.h>

#include <algorithm>
#include <vector>

#include "apimachinery/base64.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

std::string quoted_list(const std::vector<std::string_view>& words) {
  std::string out = "[";
  for (const auto word : words) out += fmt::format("{}\"{}\"", out.size() > 1 ? "," : "", word);
  return out + "]";
}
std::string quoted_list(std::span<const std::string_view> words) {
  return quoted_list(std::vector<std::string_view>(words.begin(), words.end()));
}

// Kubernetes: the first 8 bytes of SHA-256 over "group/version/kind", in base64.
std::string storage_version_hash(const Kind& kind) {
  const std::string text =
      fmt::format("{}/{}/{}", kind.storage_version.group, kind.storage_version.version, kind.kind);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string out;
  base64_append(out, {reinterpret_cast<const char*>(digest), 8});
  return out;
}

// The kind of a subresource may be of another group; then it is named.
std::string foreign_group(const Kind& kind, const Subresource& sub) {
  if (sub.kind_group == kind.group_version.group && sub.kind_version == kind.group_version.version) return {};
  return fmt::format("\"group\":\"{}\",\"version\":\"{}\",", sub.kind_group, sub.kind_version);
}

std::string resource_list(const std::vector<const Kind*>& kinds) {
  // Sorted as Kubernetes' installer registers them: by path.
  std::vector<std::pair<std::string, std::string>> entries;
  for (const Kind* kind : kinds) {
    std::string one = fmt::format(
        "{{\"name\":\"{}\",\"singularName\":\"{}\",\"namespaced\":{},\"kind\":\"{}\",\"verbs\":{}",
        kind->resource, kind->singular, kind->is_namespaced, kind->kind,
        quoted_list(verb_names(kind->verbs)));
    if (!kind->short_names.empty()) one += fmt::format(",\"shortNames\":{}", quoted_list(kind->short_names));
    if (!kind->categories.empty()) one += fmt::format(",\"categories\":{}", quoted_list(kind->categories));
    if (kind->is_stored()) one += fmt::format(",\"storageVersionHash\":\"{}\"", storage_version_hash(*kind));
    entries.emplace_back(kind->resource, one + "}");
    for (const auto& sub : kind->subresources)
      entries.emplace_back(
          fmt::format("{}/{}", kind->resource, sub.name),
          fmt::format(
              "{{\"name\":\"{}/{}\",\"singularName\":\"\",\"namespaced\":{},{}\"kind\":\"{}\",\"verbs\":{}}}",
              kind->resource, sub.name, kind->is_namespaced, foreign_group(*kind, sub), sub.kind,
              quoted_list(verb_names(sub.verbs))));
  }
  std::sort(entries.begin(), entries.end());
  std::string out = fmt::format("{{\"kind\":\"APIResourceList\",{}\"groupVersion\":\"{}\",\"resources\":[",
                                kinds[0]->group_version.group.empty() ? "" : "\"apiVersion\":\"v1\",",
                                kinds[0]->group_version.text());
  for (std::size_t i = 0; i < entries.size(); ++i) out += (i ? "," : "") + entries[i].second;
  return out + "]}";
}

// kube-apiserver leaves group and version of a built-in resource's own kind empty, and names those of custom
// resources.
bool is_builtin(const Kind& kind) {
  const auto kinds = builtin_schema().kinds;
  return !kinds.empty() && &kind >= &kinds.front() && &kind <= &kinds.back();
}

std::string response_kind(const Kind& owner, std::string_view group, std::string_view version,
                          std::string_view kind) {
  const bool is_own = group == owner.group_version.group && version == owner.group_version.version;
  if (is_own && is_builtin(owner)) group = version = {};
  return fmt::format("{{\"group\":\"{}\",\"version\":\"{}\",\"kind\":\"{}\"}}", group, version, kind);
}

std::string aggregated_version(std::string_view version, const std::vector<const Kind*>& kinds) {
  std::string out = fmt::format("{{\"version\":\"{}\",\"resources\":[", version);
  std::vector<const Kind*> sorted = kinds;
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->resource < b->resource; });
  bool is_first = true;
  for (const Kind* kind : sorted) {
    if (!is_first) out += ',';
    is_first = false;
    out += fmt::format(
        "{{\"resource\":\"{}\",\"responseKind\":{},\"scope\":\"{}\",\"singularResource\":\"{}\",\"verbs\":{}",
        kind->resource,
        response_kind(*kind, kind->group_version.group, kind->group_version.version, kind->kind),
        kind->is_namespaced ? "Namespaced" : "Cluster", kind->singular, quoted_list(verb_names(kind->verbs)));
    if (!kind->short_names.empty()) out += fmt::format(",\"shortNames\":{}", quoted_list(kind->short_names));
    if (!kind->categories.empty()) out += fmt::format(",\"categories\":{}", quoted_list(kind->categories));
    if (!kind->subresources.empty()) {
      out += ",\"subresources\":[";
      for (std::size_t i = 0; i < kind->subresources.size(); ++i) {
        const auto& sub = kind->subresources[i];
        out += fmt::format("{}{{\"subresource\":\"{}\",\"responseKind\":{},\"verbs\":{}}}", i ? "," : "",
                           sub.name, response_kind(*kind, sub.kind_group, sub.kind_version, sub.kind),
                           quoted_list(verb_names(sub.verbs)));
      }
      out += ']';
    }
    out += '}';
  }
  return out + "],\"freshness\":\"Current\"}";
}

}  // namespace

void Discovery::add(std::map<std::string, DiscoveryDocument, std::less<>>& to, std::string path,
                    std::string json, std::string_view hashed) {
  unsigned char digest[SHA512_DIGEST_LENGTH];
  SHA512(reinterpret_cast<const unsigned char*>(hashed.data()), hashed.size(), digest);
  std::string etag = "\"";
  for (const unsigned char byte : digest) etag += fmt::format("{:02X}", byte);
  to[std::move(path)] = {json + "\n", etag + "\""};
}

Discovery::Discovery(const Registry& registry, std::string server_address) {
  struct Group {
    std::string_view name;
    std::vector<std::pair<std::string_view, std::vector<const Kind*>>> versions;
  };
  std::vector<Group> groups;
  for (const Kind* kind : registry.resources()) {
    if (groups.empty() || groups.back().name != kind->group_version.group)
      groups.push_back({kind->group_version.group, {}});
    auto& versions = groups.back().versions;
    if (versions.empty() || versions.back().first != kind->group_version.version)
      versions.push_back({kind->group_version.version, {}});
    versions.back().second.push_back(kind);
  }
  add(plain_, "/api",
      fmt::format("{{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[{{"
                  "\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":\"{}\"}}]}}",
                  server_address),
      {});
  std::string list, v2_core, v2_groups;
  for (const auto& group : groups) {
    std::string versions, aggregated;
    for (const auto& [version, kinds] : group.versions) {
      const std::string text = kinds[0]->group_version.text();
      versions += fmt::format("{}{{\"groupVersion\":\"{}\",\"version\":\"{}\"}}", versions.empty() ? "" : ",",
                              text, version);
      aggregated += (aggregated.empty() ? "" : ",") + aggregated_version(version, kinds);
      add(plain_, group.name.empty() ? "/api/v1" : fmt::format("/apis/{}", text), resource_list(kinds), {});
    }
    const std::string item =
        group.name.empty()
            ? fmt::format("{{\"metadata\":{{}},\"versions\":[{}]}}", aggregated)
            : fmt::format("{{\"metadata\":{{\"name\":\"{}\"}},\"versions\":[{}]}}", group.name, aggregated);
    if (group.name.empty()) {
      v2_core = item;
      continue;
    }
    v2_groups += (v2_groups.empty() ? "" : ",") + item;
    const auto preferred = group.versions[0].second[0]->group_version;
    const std::string body = fmt::format(
        "\"name\":\"{}\",\"versions\":[{}],\"preferredVersion\":{{\"groupVersion\":\"{}\",\"version\":\"{}\"}"
        "}}}",
        group.name, versions, preferred.text(), preferred.version);
    list += (list.empty() ? "{" : ",{") + body;
    add(plain_, fmt::format("/apis/{}", group.name), "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," + body,
        {});
  }
  add(plain_, "/apis",
      fmt::format("{{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{}]}}", list), {});
  // The tag is that of the document without its TypeMeta, as kube-apiserver's is: the same resources, the
  // same tag.
  auto add_aggregated = [&](std::string path, const std::string& items) {
    const std::string body = fmt::format("\"metadata\":{{}},\"items\":[{}]}}", items);
    add(aggregated_, std::move(path),
        "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\"," + body, "{" + body);
  };
  add_aggregated("/api", v2_core);
  add_aggregated("/apis", v2_groups);
}

const DiscoveryDocument* Discovery::plain(std::string_view path) const {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  auto found = plain_.find(path);
  return found == plain_.end() ? nullptr : &found->second;
}

const DiscoveryDocument* Discovery::aggregated(std::string_view path, std::string_view version) const {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (version != "v2") return nullptr;
  auto found = aggregated_.find(path);
  return found == aggregated_.end() ? nullptr : &found->second;
}

}  // namespace rusternetes::api_server
