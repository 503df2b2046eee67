#pragma once
// A made-up store: one line "REVISION OBJECTS WHAT-IT-HOLDS" in a file. Its process runs while the host has a
// thing "released" of the cluster.

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "certs/file.h"
#include "launcher/failure.h"
#include "launcher/ports/store_port.h"

namespace rusternetes::launcher::testing {

class FakeStore final : public StorePort {
 public:
  std::string broken;  // copies and facts of a cluster's own store fail with it
  std::string broken_id = "StoreDamaged";
  bool is_socket_dead = false;
  std::vector<Adaptation> adaptations;
  std::filesystem::path etcd_file;  // what etcd's servers answer with

  Result<> copy_running(const StoreSource& source, const std::filesystem::path& to,
                        const std::function<void(std::uint64_t)>& on_progress) override {
    if (is_socket_dead) return failure("StoreUnreachable", "nobody answers");
    on_progress(1);
    // Of etcd, the clusters' tests put it where the first member has it.
    return copy(source.kind == snapshot::StoreKind::etcd ? etcd_file : source.file, to);
  }
  Result<> copy_stopped(const StoreSource& source, const std::filesystem::path& to) override {
    if (is_socket_dead) return failure("StoreInUse", "the store is in use");
    return copy(source.file, to);
  }
  Result<StoreFacts> facts(const std::filesystem::path& copy) override {
    if (!broken.empty() && copy.parent_path().filename() == "data") return failure(broken_id, broken);
    StoreFacts out;
    std::istringstream text(certs::read_text(copy).value());
    text >> out.revision >> out.object_count;
    return out;
  }
  Result<> raise(const std::filesystem::path& copy, std::int64_t revision) override {
    std::istringstream text(certs::read_text(copy).value());
    std::int64_t old = 0;
    text >> old;
    std::string rest;
    std::getline(text, rest);
    std::ofstream(copy) << revision << rest << "\n";
    return {};
  }
  Result<> make_member(const std::filesystem::path& copy, const EtcdMember& member, const std::filesystem::path&,
                       const std::filesystem::path& to) override {
    RN_TRY(const std::string text, certs::read_text(copy));
    std::filesystem::create_directories(to);
    std::ofstream(to / "member") << member.name << " " << member.initial_cluster << "\n" << text;
    return {};
  }
  Result<> adapt(const std::filesystem::path& copy, const Adaptation& adaptation) override {
    adaptations.push_back(adaptation);
    std::string text = certs::read_text(copy).value();
    text.insert(text.find_last_not_of('\n') + 1, "+adapted");
    std::ofstream(copy) << text;
    return {};
  }
  // A line as the store has it, behind "etcd ".
  Result<ForeignCluster> read_foreign(const std::filesystem::path& file,
                                      const std::filesystem::path&) override {
    const auto text = certs::read_text(file);
    if (!text) return failure("NotFound", text.error().message);
    if (!text->starts_with("etcd "))
      return failure("EtcdSnapshotForeign", file.string() + " is no snapshot of etcd");
    return ForeignCluster{foreign_cidrs};
  }
  Result<> import_foreign(const std::filesystem::path& file, const std::filesystem::path&,
                          const std::filesystem::path& to) override {
    if (!foreign_error.empty()) return failure(foreign_error, "it is encrypted");
    RN_TRY(const std::string text, certs::read_text(file));
    return certs::write_atomically(to / "store.db", text.substr(5), certs::private_mode);
  }
  std::vector<std::string> foreign_cidrs;
  std::string foreign_error;  // why its objects cannot be taken over

 private:
  Result<> copy(const std::filesystem::path& from, const std::filesystem::path& to) const {
    if (!broken.empty()) return failure(broken_id, broken);
    RN_TRY(const std::string text, certs::read_text(from));
    return certs::write_atomically(to, text, certs::private_mode);
  }
};

}  // namespace rusternetes::launcher::testing
