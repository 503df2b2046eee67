#include "engine/image_builder.h"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <memory>
#include <set>

#include "engine/json_read.h"
#include "engine/reference.h"
#include "engine/tar_writer.h"

namespace rusternetes::engine {
namespace json = boost::json;
namespace {

std::string relative_path(std::string path) {
  while (path.starts_with('/')) path.erase(0, 1);
  while (path.ends_with('/')) path.pop_back();
  return path;
}

std::string hex(const unsigned char* digest, unsigned int size) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

class Sha256 {
 public:
  Sha256() : context_(::EVP_MD_CTX_new(), &::EVP_MD_CTX_free) {
    ::EVP_DigestInit_ex(context_.get(), ::EVP_sha256(), nullptr);
  }
  void update(std::string_view bytes) { ::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    ::EVP_DigestFinal_ex(context_.get(), digest, &size);
    return hex(digest, size);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context_;
};

ByteSink append_to(std::string& out) {
  return [&out](std::string_view bytes) {
    out.append(bytes);
    return Result<void>();
  };
}

// Sorted by path, with the directories above each entry.
Result<std::vector<LayerEntry>> completed(std::vector<LayerEntry> entries) {
  std::set<std::string> named;
  for (auto& entry : entries) {
    entry.path = relative_path(std::move(entry.path));
    if (entry.path.empty()) return Status{400, "Invalid", "a layer entry has no path", nullptr};
    if (!named.insert(entry.path).second)
      return Status{400, "Invalid", "a layer names " + entry.path + " twice", nullptr};
  }
  for (std::size_t i = 0, count = entries.size(); i < count; ++i) {
    std::string path = entries[i].path;
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (named.insert(path.substr(0, slash)).second)
        entries.push_back(LayerEntry::directory(path.substr(0, slash)));
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return entries;
}

// The layer's tar out of its entries.
Result<void> write_entries(const std::vector<LayerEntry>& entries, const ByteSink& sink) {
  TarWriter writer(sink);
  for (const auto& entry : entries) {
    if (entry.kind == LayerEntry::Kind::file && !entry.host_path.empty())
      RN_CHECK(add_host_file(writer, entry));
    else
      RN_CHECK(writer.add(entry, entry.content));
  }
  return writer.finish();
}

Result<void> write_layer(const Layer& layer, const ByteSink& sink) {
  if (!layer.tar.empty()) return sink(layer.tar);
  Sha256 sum;
  RN_CHECK(write_entries(layer.entries, [&](std::string_view bytes) {
    sum.update(bytes);
    return sink(bytes);
  }));
  if ("sha256:" + sum.finish() != layer.digest)
    return Status{409, "Conflict", "a file of the image changed after it was looked at", nullptr};
  return {};
}

std::string image_config(const ImageSpec& image) {
  json::object config;
  if (!image.entrypoint.empty()) config["Entrypoint"] = to_json(image.entrypoint);
  if (!image.cmd.empty()) config["Cmd"] = to_json(image.cmd);
  config["Env"] = image.env.empty()
                      ? json::array{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
                      : to_json(image.env);
  if (!image.working_dir.empty()) config["WorkingDir"] = image.working_dir;
  if (!image.user.empty()) config["User"] = image.user;
  if (!image.stop_signal.empty()) config["StopSignal"] = image.stop_signal;
  if (!image.labels.empty()) config["Labels"] = to_json(image.labels);
  json::object volumes;
  for (const auto& volume : image.volumes) volumes[volume] = json::object();
  if (!volumes.empty()) config["Volumes"] = std::move(volumes);
  json::array diff_ids, history;
  for (const auto* layer : image.layers) {
    diff_ids.emplace_back(layer->digest);
    history.push_back(json::object{{"created", "1970-01-01T00:00:00Z"}, {"created_by", "rusternetes"}});
  }
  json::object document{{"architecture",
#if defined(__aarch64__)
                         "arm64"
#else
                         "amd64"
#endif
                        },
                        {"os", "linux"},
                        {"created", "1970-01-01T00:00:00Z"},
                        {"config", std::move(config)},
                        {"rootfs", json::object{{"type", "layers"}, {"diff_ids", std::move(diff_ids)}}},
                        {"history", std::move(history)}};
  return json::serialize(document);
}

}  // namespace

LayerEntry LayerEntry::file(std::string path, std::string content, std::uint32_t mode) {
  LayerEntry entry;
  entry.path = std::move(path);
  entry.content = std::move(content);
  entry.mode = mode;
  return entry;
}
LayerEntry LayerEntry::from_host(std::string path, std::string host_path, std::uint32_t mode) {
  LayerEntry entry;
  entry.path = std::move(path);
  entry.host_path = std::move(host_path);
  entry.mode = mode;
  return entry;
}
LayerEntry LayerEntry::directory(std::string path, std::uint32_t mode) {
  LayerEntry entry;
  entry.kind = Kind::directory;
  entry.path = std::move(path);
  entry.mode = mode;
  return entry;
}
LayerEntry LayerEntry::symlink(std::string path, std::string target) {
  LayerEntry entry;
  entry.kind = Kind::symlink;
  entry.path = std::move(path);
  entry.content = std::move(target);
  entry.mode = 0777;
  return entry;
}

std::string sha256_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  ::EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  return hex(digest, size);
}

Result<Layer> build_layer(std::vector<LayerEntry> entries) {
  RN_TRY(entries, completed(std::move(entries)));
  Layer layer;
  RN_CHECK(write_entries(entries, append_to(layer.tar)));
  layer.digest = "sha256:" + sha256_hex(layer.tar);
  layer.size = layer.tar.size();
  return layer;
}

Result<Layer> measure_layer(std::vector<LayerEntry> entries) {
  Layer layer;
  RN_TRY(layer.entries, completed(std::move(entries)));
  Sha256 sum;
  RN_CHECK(write_entries(layer.entries, [&](std::string_view bytes) {
    sum.update(bytes);
    layer.size += bytes.size();
    return Result<void>();
  }));
  layer.digest = "sha256:" + sum.finish();
  return layer;
}

Result<Layer> known_layer(std::vector<LayerEntry> entries, std::string digest, std::uint64_t size) {
  Layer layer;
  RN_TRY(layer.entries, completed(std::move(entries)));
  layer.digest = std::move(digest);
  layer.size = size;
  return layer;
}

std::string image_id(const ImageSpec& image) { return "sha256:" + sha256_hex(image_config(image)); }

Result<std::vector<std::string>> write_archive(const std::vector<ImageSpec>& images, const ByteSink& sink) {
  std::vector<std::string> ids;
  TarWriter writer(sink);
  std::set<std::string> written;
  json::array manifest;
  for (const auto& image : images) {
    json::array layers, tags;
    for (const auto& tag : image.tags) {
      RN_TRY(auto reference, parse_reference(tag));
      tags.emplace_back(reference.str());
    }
    for (const auto* layer : image.layers) {
      std::string name = layer->digest.substr(7) + "/layer.tar";
      if (written.insert(name).second) {
        RN_CHECK(
            writer.begin(LayerEntry::file(name, {}), layer->tar.empty() ? layer->size : layer->tar.size()));
        RN_CHECK(write_layer(*layer, [&writer](std::string_view piece) { return writer.write(piece); }));
        RN_CHECK(writer.end());
      }
      layers.emplace_back(name);
    }
    const std::string config = image_config(image);
    const std::string id = sha256_hex(config);
    std::string name = id + ".json";
    if (written.insert(name).second) RN_CHECK(writer.add(LayerEntry::file(name, {}), config));
    ids.push_back("sha256:" + id);
    manifest.push_back(
        json::object{{"Config", name}, {"RepoTags", std::move(tags)}, {"Layers", std::move(layers)}});
  }
  RN_CHECK(writer.add(LayerEntry::file("manifest.json", {}), json::serialize(manifest)));
  RN_CHECK(writer.finish());
  return ids;
}

Result<ImageArchive> build_archive(const std::vector<ImageSpec>& images) {
  ImageArchive out;
  RN_TRY(out.ids, write_archive(images, append_to(out.tar)));
  return out;
}

Result<ImageArchive> build_pause_image(std::string pause_program, std::string tag) {
  RN_TRY(auto layer, build_layer({LayerEntry::file("pause", std::move(pause_program), 0755)}));
  ImageSpec image;
  image.tags.push_back(std::move(tag));
  image.entrypoint = {"/pause"};
  image.layers = {&layer};
  return build_archive({image});
}

}  // namespace rusternetes::engine
