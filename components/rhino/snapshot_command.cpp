#include "rhino/snapshot_command.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <vector>

#include "certs/file.h"
#include "rhino/snapshot_file.h"
#include "rhino/snapshot_import.h"
#include "rhino/snapshot_json.h"
#include "rhino/snapshot_member.h"
#include "rhino/snapshot_read.h"
#include "rhino/snapshot_save.h"

namespace rusternetes::rhino {
namespace {

std::string store_file(const std::string& data_dir) { return std::filesystem::path(data_dir) / "store.db"; }

// As etcdutl writes sizes: "20 kB", "1.2 MB".
std::string human_bytes(std::int64_t bytes) {
  constexpr std::array units{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 10) return fmt::format("{} B", bytes);
  const auto power = static_cast<int>(std::floor(std::log(static_cast<double>(bytes)) / std::log(1000.0)));
  const double value = std::floor(static_cast<double>(bytes) / std::pow(1000.0, power) * 10 + 0.5) / 10;
  return fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, units[static_cast<std::size_t>(power)]);
}

std::string table(const SnapshotStatus& status) {
  const std::vector<std::string> head{"HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"};
  const std::vector<std::string> row{fmt::format("{:x}", status.hash), fmt::format("{}", status.revision),
                                     fmt::format("{}", status.total_keys),
                                     human_bytes(status.total_size_bytes), status.version};
  std::string rule = "+", first = "|", second = "|";
  for (std::size_t i = 0; i < head.size(); ++i) {
    const std::size_t width = std::max(head[i].size(), row[i].size());
    rule += std::string(width + 2, '-') + "+";
    first += fmt::format(" {:^{}} |", head[i], width);
    second += fmt::format(" {:>{}} |", row[i], width);
  }
  return fmt::format("{0}\n{1}\n{0}\n{2}\n{0}", rule, first, second);
}

}  // namespace

SnapshotCommand::SnapshotCommand(CLI::App& program) {
  auto* snapshot = program.add_subcommand("snapshot", "Between a store and snapshots of etcd");
  snapshot->require_subcommand(1);
  add_save(*snapshot);
  add_restore(*snapshot);
  add_export(*snapshot);
  add_import(*snapshot);
  add_status(*snapshot);
  add_get(*snapshot);
}

void SnapshotCommand::add_export(CLI::App& snapshot) {
  export_ = snapshot.add_subcommand(
      "export", "Write a stopped store as a snapshot that `etcdutl snapshot restore` takes");
  export_->add_option("--data-dir", data_dir_, "The store's folder")->required();
  export_->add_option("--to", to_, "The snapshot's file, which must not exist")->required();
}

void SnapshotCommand::add_import(CLI::App& snapshot) {
  import_ = snapshot.add_subcommand(
      "import", "Make a store from a snapshot of etcd 3.4 to 3.6, or from a stopped member's data folder");
  import_->add_option("--from", from_, "The snapshot's file, or the data folder")->required();
  import_->add_option("--data-dir", data_dir_, "The new store's folder, which must not have one")->required();
  import_
      ->add_option(
          "--bump-revision", bump_revision_,
          "By how much revisions rise, older ones counting as compacted; 0 keeps them with their history")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  import_->add_flag("--skip-hash-check", skips_hash_check_,
                    "Take a file without a SHA-256 at its end (a member's db file)");
  import_->add_flag("--skip-wal", skips_wal_,
                    "Of a member, take the db file alone, without what only its write-ahead log has");
}

void SnapshotCommand::add_status(CLI::App& snapshot) {
  status_ = snapshot.add_subcommand("status", "Tell what a snapshot holds");
  status_->add_option("--from", from_, "The snapshot's file")->required();
  status_->add_option("--output,-w,--write-out", output_, "table or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "json"}));
}

void SnapshotCommand::add_get(CLI::App& snapshot) {
  get_ = snapshot.add_subcommand("get", "Print what a snapshot has under some keys, a line of JSON each");
  get_->add_option("--from", from_, "The snapshot's file")->required();
  get_->add_option("--prefix", prefixes_, "What keys begin with; may be repeated")->required();
}

// With etcdutl's own flags.
void SnapshotCommand::add_restore(CLI::App& snapshot) {
  auto& options = restore_options_;
  restore_ = snapshot.add_subcommand(
      "restore", "Make the data folder of a new etcd's member from a snapshot of etcd or a store of ours");
  restore_->add_option("file", from_, "The snapshot, or the store's file")->required();
  restore_->add_option("--data-dir", options.data_dir, "The member's data folder; default: NAME.etcd");
  restore_->add_option("--name", options.name, "The member's name")->capture_default_str();
  restore_->add_option("--initial-cluster", options.initial_cluster,
                       "NAME=PEER-URL of every member, separated by commas; default: this one alone");
  restore_
      ->add_option("--initial-advertise-peer-urls", options.initial_advertise_peer_urls,
                   "The member's peer URLs")
      ->capture_default_str();
  restore_
      ->add_option("--initial-cluster-token", options.initial_cluster_token, "Tells clusters apart")
      ->capture_default_str();
  restore_
      ->add_option("--bump-revision", options.bump_revision,
                   "By how much the revision rises (10^9, say); with --mark-compacted")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  restore_->add_flag("--mark-compacted", options.marks_compacted,
                     "The raised revision is compacted, so that all who watched list anew");
  restore_->add_flag("--skip-hash-check", options.skips_hash_check,
                     "Take a file without a SHA-256 at its end (a member's db file)");
}

// With etcdctl's own flags.
void SnapshotCommand::add_save(CLI::App& snapshot) {
  save_ = snapshot.add_subcommand("save", "Save what a running etcd 3.4 to 3.6, or rhino, has");
  save_->add_option("file", to_, "The file, which must not exist")->required();
  save_->add_option("--endpoints", endpoints_, "Servers, asked one after the other")
      ->delimiter(',')
      ->capture_default_str();
  save_->add_option("--cacert", ca_file_, "Authority of the servers' certificates");
  save_->add_option("--cert", cert_file_, "The client's certificate");
  save_->add_option("--key", key_file_, "Its key");
  save_->add_option("--consistency", consistency_,
                    "l: with every write acknowledged before; s: what the member has, also without a quorum")
      ->capture_default_str()
      ->check(CLI::IsMember({"l", "s"}));
  save_->add_option("--format", format_, "etcd: a snapshot of etcd's; sqlite: a store as rhino has it")
      ->capture_default_str()
      ->check(CLI::IsMember({"etcd", "sqlite"}));
  save_
      ->add_option("--bump-revision", save_bump_,
                   "With --format sqlite: by how much revisions rise, older ones counting as compacted")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  save_->add_option("--output,-w,--write-out", save_output_, "simple or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"simple", "json"}));
}

Result<std::string> SnapshotCommand::save() const {
  if (save_bump_ > 0 && format_ != "sqlite")
    return Status{400, "BadRequest", "--bump-revision needs --format sqlite"};
  SaveOptions options;
  const bool is_secure = !ca_file_.empty() || !cert_file_.empty();
  for (const auto& endpoint : endpoints_)  // as etcdctl takes them: also without a scheme
    options.etcd.servers.push_back(
        endpoint.find("://") != endpoint.npos ? endpoint : (is_secure ? "https://" : "http://") + endpoint);
  for (const auto& [file, text] : {std::pair{&ca_file_, &options.etcd.ca_pem},
                                   std::pair{&cert_file_, &options.etcd.certificate_pem},
                                   std::pair{&key_file_, &options.etcd.key_pem}})
    if (!file->empty()) {
      RN_TRY(*text, certs::read_text(*file));
    }
  options.is_serializable = consistency_ == "s";
  options.makes_store = format_ == "sqlite";
  options.bump_revision = save_bump_;
  RN_TRY(const auto done, save_snapshot(options, to_));
  if (save_output_ == "json")
    return fmt::format(R"({{"endpoint":{},"revision":{},"totalKey":{},"totalSize":{},"version":{}}})",
                       json_string(done.endpoint), done.revision, done.keys, done.size_bytes,
                       json_string(done.version));
  return fmt::format("{} saved at {}: revision {}, {} keys, {}, from {}{}",
                     options.makes_store ? "Store" : "Snapshot", to_, done.revision, done.keys,
                     human_bytes(done.size_bytes), done.endpoint,
                     done.version.empty() ? "" : "\nServer version " + done.version);
}

Result<std::string> SnapshotCommand::restore() const {
  RN_TRY(const auto done, restore_snapshot(from_, restore_options_));
  return fmt::format("Restored {} into {} at revision {}: member {:x} of {} in cluster {:x}", from_,
                     done.data_dir, done.revision, done.member_id, done.members, done.cluster_id);
}

Result<std::string> SnapshotCommand::export_store() const {
  auto done = export_snapshot(store_file(data_dir_), to_);
  if (!done && done.error().is("InUse"))
    return Status{409, "InUse", fmt::format("{}: stop that process first, or ask it for a snapshot with "
                                            "`etcdctl snapshot save {}`", done.error().message, to_)};
  if (!done) return done.error();
  return fmt::format("Snapshot saved at {}: revision {}, {} changes", to_, done->revision, done->keys);
}

Result<std::string> SnapshotCommand::import_store() const {
  std::error_code error;
  std::filesystem::path made;  // what is taken away again if there is nothing to be put into it
  if (!std::filesystem::exists(data_dir_, error)) {
    if (std::filesystem::create_directories(data_dir_, error)) made = data_dir_;
    std::filesystem::permissions(data_dir_, std::filesystem::perms::owner_all, error);
  }
  if (error)
    return Status{500, "InternalError",
                  fmt::format("cannot make the folder {}: {}", data_dir_, error.message())};
  // A member's folder, whole or by its db.
  const std::string member = std::filesystem::is_directory(from_, error) ? from_ : data_dir_of(from_);
  const ImportOptions options{bump_revision_, skips_hash_check_};
  auto done = member.empty() ? import_snapshot(from_, store_file(data_dir_), options)
                             : import_member(member, store_file(data_dir_), options, skips_wal_);
  if (!done && !made.empty()) std::filesystem::remove(made, error);
  if (!done) return done.error();
  return fmt::format("Imported {} keys and {} leases of revision {} into {}, which is at revision {}{}",
                     done->keys, done->leases, done->snapshot_revision, store_file(data_dir_), done->revision,
                     bump_revision_ > 0 ? "; every older one counts as compacted" : "");
}

Result<std::string> SnapshotCommand::status() const {
  RN_TRY(const auto status, snapshot_status(from_));
  if (output_ == "table") return table(status);
  return fmt::format(R"({{"hash":{},"revision":{},"totalKey":{},"totalSize":{},"version":"{}"}})",
                     status.hash, status.revision, status.total_keys, status.total_size_bytes,
                     status.version);
}

// Values in base64, as `etcdctl get -w json` has them.
Result<std::string> SnapshotCommand::get() const {
  RN_TRY(const auto found, newest_values(from_, prefixes_));
  std::string out;
  for (const auto& [key, value] : found) {
    std::string text((value.size() + 2) / 3 * 4 + 1, '\0');
    text.resize(static_cast<std::size_t>(::EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(value.data()),
        static_cast<int>(value.size()))));
    out += fmt::format("{}{{\"key\":{},\"value\":\"{}\"}}", out.empty() ? "" : "\n", json_string(key), text);
  }
  return out;
}

std::optional<int> SnapshotCommand::run() {
  Result<std::string> done = std::string();
  if (save_->parsed())
    done = save();
  else if (restore_->parsed())
    done = restore();
  else if (export_->parsed())
    done = export_store();
  else if (import_->parsed())
    done = import_store();
  else if (status_->parsed())
    done = status();
  else if (get_->parsed())
    done = get();
  else
    return std::nullopt;
  if (!done) {
    std::cerr << "rhino: " << done.error().message << '\n';
    return 1;
  }
  std::cout << *done << '\n';
  return 0;
}

}  // namespace rusternetes::rhino
