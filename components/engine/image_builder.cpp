#include "engine/image_builder.h"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "engine/json_read.h"
#include "engine/reference.h"

namespace rusternetes::engine {
namespace json = boost::json;
namespace {

la_ssize_t append_bytes(struct archive*, void* out, const void* bytes, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

// A tar in memory. libarchive's errors are kept by the archive; each step reports the first.
class TarWriter {
 public:
  TarWriter() : archive_(::archive_write_new(), &::archive_write_free) {
    // pax only where ustar cannot say it: plain entries stay readable by everything.
    ::archive_write_set_format_pax_restricted(archive_.get());
    ::archive_write_set_bytes_per_block(archive_.get(), 0);
    ::archive_write_open(archive_.get(), &out_, nullptr, &append_bytes, nullptr);
  }

  Result<void> add(const LayerEntry& item, std::string_view content) {
    std::unique_ptr<archive_entry, decltype(&::archive_entry_free)> entry(::archive_entry_new(),
                                                                          &::archive_entry_free);
    bool is_directory = item.kind == LayerEntry::Kind::directory;
    ::archive_entry_set_pathname(entry.get(), (is_directory ? item.path + "/" : item.path).c_str());
    ::archive_entry_set_perm(entry.get(), item.mode);
    ::archive_entry_set_uid(entry.get(), item.uid);
    ::archive_entry_set_gid(entry.get(), item.gid);
    ::archive_entry_set_mtime(entry.get(), 0, 0);  // the same input, the same digest
    if (item.kind == LayerEntry::Kind::symlink) {
      ::archive_entry_set_filetype(entry.get(), AE_IFLNK);
      ::archive_entry_set_symlink(entry.get(), item.content.c_str());
      content = {};
    } else {
      ::archive_entry_set_filetype(entry.get(), is_directory ? AE_IFDIR : AE_IFREG);
    }
    ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(is_directory ? 0 : content.size()));
    if (::archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK) return failure(item.path);
    if (item.kind == LayerEntry::Kind::file && !content.empty() &&
        ::archive_write_data(archive_.get(), content.data(), content.size()) !=
            static_cast<la_ssize_t>(content.size()))
      return failure(item.path);
    return {};
  }

  Result<std::string> finish() {
    if (::archive_write_close(archive_.get()) != ARCHIVE_OK) return failure("end of archive");
    return std::move(out_);
  }

 private:
  Status failure(const std::string& path) {
    const char* text = ::archive_error_string(archive_.get());
    return internal_error("tar " + path + ": " + (text ? text : "unknown"));
  }
  std::string out_;
  std::unique_ptr<struct archive, int (*)(struct archive*)> archive_;
};

std::string relative_path(std::string path) {
  while (path.starts_with('/')) path.erase(0, 1);
  while (path.ends_with('/')) path.pop_back();
  return path;
}

Result<std::string> file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return errno_error("open " + path, errno);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

Result<std::string> image_config(const ImageSpec& image) {
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
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

Result<Layer> build_layer(std::vector<LayerEntry> entries) {
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
  TarWriter writer;
  for (const auto& entry : entries) {
    if (entry.kind == LayerEntry::Kind::file && !entry.host_path.empty()) {
      RN_TRY(auto bytes, file_bytes(entry.host_path));
      RN_CHECK(writer.add(entry, bytes));
    } else {
      RN_CHECK(writer.add(entry, entry.content));
    }
  }
  Layer layer;
  RN_TRY(layer.tar, writer.finish());
  layer.digest = "sha256:" + sha256_hex(layer.tar);
  return layer;
}

Result<ImageArchive> build_archive(const std::vector<ImageSpec>& images) {
  ImageArchive out;
  TarWriter writer;
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
      if (written.insert(name).second) RN_CHECK(writer.add(LayerEntry::file(name, {}), layer->tar));
      layers.emplace_back(name);
    }
    RN_TRY(auto config, image_config(image));
    auto id = sha256_hex(config);
    std::string name = id + ".json";
    if (written.insert(name).second) RN_CHECK(writer.add(LayerEntry::file(name, {}), config));
    out.ids.push_back("sha256:" + id);
    manifest.push_back(
        json::object{{"Config", name}, {"RepoTags", std::move(tags)}, {"Layers", std::move(layers)}});
  }
  RN_CHECK(writer.add(LayerEntry::file("manifest.json", {}), json::serialize(manifest)));
  RN_TRY(out.tar, writer.finish());
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
