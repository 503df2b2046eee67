#pragma once
// Names of images, as the container engines' reference grammar has them (distribution/reference).

#include <optional>
#include <string_view>

namespace rusternetes::api_server {

struct ImageReference {
  std::string_view tag, digest;  // empty when not there
};

// nullopt when the text is no image name. Allocates nothing.
std::optional<ImageReference> parse_image_reference(std::string_view text);

// Whether a kubelet would pull this image always by default: its tag is "latest", said or not.
bool is_latest_image(std::string_view image);

}  // namespace rusternetes::api_server
