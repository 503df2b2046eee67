#pragma once
// Takes secrets out of text, in two ways: every secret that is known, wherever it stands, and whatever looks
// like one. The second knows patterns, and so cannot know all; the first cannot miss what it was told.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "launcher/home.h"

namespace rusternetes::launcher::bundle {

class Redactor {
 public:
  Redactor();
  ~Redactor();
  // A value that must not be seen: as it is, line by line, and as base64. Parts of less than eight characters
  // are too common to be told from other text.
  void add_secret(std::string_view value);
  // The same, of a value that is known as base64.
  void add_base64(std::string_view encoded);
  // Its private keys, and the keys and tokens of its kubeconfigs. What its Pods have mounted is not looked
  // at.
  void add_cluster(const ClusterPaths& paths);

  std::string clean(std::string text) const;

 private:
  void add_file(const std::filesystem::path& file);
  void add_piece(std::string_view piece);
  void add_lines(std::string_view text);
  void remove_known(std::string& text) const;

  struct Patterns;
  std::unique_ptr<Patterns> patterns_;
  // By the first eight bytes of a piece.
  std::unordered_map<std::uint64_t, std::vector<std::string>> known_;
  std::vector<bool> hints_;  // a filter in front of it
};

// What stands in a secret's place.
inline constexpr std::string_view removed = "[removed]";

}  // namespace rusternetes::launcher::bundle
