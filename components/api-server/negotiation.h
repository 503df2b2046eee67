#pragma once
// Which form a response takes (Accept) and a request has (Content-Type).

#include <optional>
#include <string>
#include <string_view>

#include "apimachinery/schema.h"
#include "base/status.h"

namespace rusternetes::api_server {

enum class MediaType { json, yaml, protobuf };
enum class Transform { none, table, partial_object, partial_object_list };

struct Accepted {
  MediaType type = MediaType::json;
  Transform transform = Transform::none;
  bool pretty = false;
  std::string_view meta_version = "meta.k8s.io/v1";  // of what the transformation makes
};

// What an endpoint can send.
struct Representations {
  bool can_transform = false;  // into a Table or PartialObjectMetadata
  bool has_protobuf = true;
  bool is_watch = false;      // frames: never YAML
  bool is_discovery = false;  // may be aggregated: as=APIGroupDiscoveryList is no transformation
  bool is_routed =
      true;  // false where kube-apiserver's router does not look at Accept: /api, /apis, /apis/GROUP
};

// Error: 406, in the words of whoever refuses in kube-apiserver, its router or its handler.
Result<Accepted> negotiate(std::string_view accept, const Representations& can);
inline Result<Accepted> negotiate(std::string_view accept, bool allow_transform,
                                  bool protobuf_allowed = true) {
  return negotiate(accept, Representations{allow_transform, protobuf_allowed});
}
// The form of an error: the first one that is asked for and exists, without transformation; else indented
// JSON.
Accepted error_form(std::string_view accept);

// The aggregated form of discovery (apidiscovery.k8s.io/v2) is what the client likes best.
bool wants_aggregated_discovery(std::string_view accept);

// Empty is JSON. Error: 415.
Result<MediaType> content_type_of(std::string_view content_type);
std::string_view content_type_name(MediaType type, bool is_watch = false);

// The Accept-Encoding allows gzip.
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace rusternetes::api_server
