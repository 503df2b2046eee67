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
};

// `allow_transform`: the resource can be sent as a Table or as PartialObjectMetadata.
Result<Accepted> negotiate(std::string_view accept, bool allow_transform, bool protobuf_allowed = true);
// Empty is JSON. Error: 415.
Result<MediaType> content_type_of(std::string_view content_type);
std::string_view content_type_name(MediaType type, bool is_watch = false);

// The Accept-Encoding allows gzip.
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace rusternetes::api_server
