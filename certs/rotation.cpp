#include "certs/rotation.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/sync.h"
#include "certs/file.h"
#include "certs/folder.h"

namespace rusternetes::certs {
namespace {

namespace fs = std::filesystem;

// An authority and the service account key are replaced alike: a list of what is trusted, a key that signs,
// and the next key in between.
struct Subject {
  std::string file;
  std::string common_name;  // of an authority
  fs::path list, key, next_key;
  fs::path cross;  // of an authority
  bool is_authority = true;
};

Result<Subject> subject_of(const fs::path& dir, std::string_view name) {
  Subject out{.file = std::string(name),
              .list = certificate_path(dir, name),
              .key = key_path(dir, name),
              .next_key = dir / fmt::format("{}-next.key", name),
              .cross = cross_path(dir, name)};
  if (name == "sa") {
    out.is_authority = false;
    out.list = dir / "sa.pub";
    return out;
  }
  // Whether this cluster has it, its file says.
  const auto known = cluster_authorities({.etcd_members = {{"any", {}}}});
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const PkiAuthority& authority) { return authority.file == name; });
  if (found == known.end()) return Status(404, "NotFound", fmt::format("there is no authority \"{}\"", name));
  out.common_name = found->common_name;
  return out;
}

struct State {
  RotationPhase phase = RotationPhase::none;
  std::string signing;              // the block of the list that belongs to the key
  std::string other;                // the second one, if any
  bool is_in_order = true;          // `signing` stands first
  std::optional<std::string> next;  // what FILE-next.key holds
};

Result<bool> belongs(const Subject& subject, const std::string& block, const std::string& key_pem) {
  return subject.is_authority ? key_matches({block, key_pem}) : public_key_matches(block, key_pem);
}

Result<State> read_state(const Subject& subject) {
  RN_TRY(const std::string list, read_text(subject.list));
  RN_TRY(const std::string key, read_text(subject.key));
  auto blocks = pem_blocks(list);
  if (blocks.empty() || blocks.size() > 2)
    return damaged(subject.list, fmt::format("it holds {} blocks of PEM and not one or two", blocks.size()));
  State state;
  if (auto next = read_text(subject.next_key))
    state.next = *std::move(next);
  else if (!next.error().is("NotFound"))
    return next.error();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    auto is_signing = belongs(subject, blocks[i], key);
    if (!is_signing) return damaged(subject.list, is_signing.error().message);
    if (*is_signing && state.signing.empty()) {
      state.signing = blocks[i];
      state.is_in_order = i == 0;
    } else {
      state.other = blocks[i];
    }
  }
  if (state.signing.empty()) return damaged(subject.list, "it does not belong to the private key beside it");
  if (state.other.empty()) return state;
  state.phase = RotationPhase::new_signs;
  if (!state.next) return state;
  auto is_to_come = belongs(subject, state.other, *state.next);
  if (!is_to_come) return damaged(subject.next_key, is_to_come.error().message);
  if (*is_to_come) state.phase = RotationPhase::both_trusted;
  return state;
}

Status out_of_order(const Subject& subject, std::string_view why) {
  return Status(409, "Conflict", fmt::format("{}: {}", subject.list.string(), why));
}

Result<> write_list(const Subject& subject, const std::string& text) {
  return write_atomically(subject.list, text, public_mode);
}

Result<> remove_file(const fs::path& file) {
  if (::unlink(file.c_str()) == 0) return sync_folder_of(file);
  return errno == ENOENT ? Result<>() : Result<>(errno_error("unlink " + file.string(), errno));
}

// One that the old authority cannot vouch for, since it has expired, is left out.
Result<> write_cross(const Subject& subject, const std::string& old_pem, const std::string& new_pem, SystemTime now) {
  RN_TRY(const std::string old_key, read_text(subject.key));
  RN_TRY(const CertificateInfo old, inspect(old_pem));
  if (old.not_after <= now) return remove_file(subject.cross);
  RN_TRY(const std::string made, cross_sign({old_pem, old_key}, new_pem));
  return write_atomically(subject.cross, made, public_mode);
}

// Whether the leaf is there whole and of the authority that signs now.
bool is_of(const fs::path& dir, const PkiLeaf& leaf, const std::string& authority_pem) {
  const auto pair = read_pair(dir, leaf.file);
  if (!pair) return false;
  const auto info = inspect(pair->certificate_pem);
  const auto matches = key_matches(*pair);
  return info && matches && *matches &&
         verify(pair->certificate_pem, authority_pem, info->not_before).has_value();
}

Result<std::vector<PkiLeaf>> leaves_of(const PkiOptions& options, const Subject& subject) {
  RN_TRY(auto leaves, cluster_leaves(options));
  std::erase_if(leaves, [&](const PkiLeaf& leaf) { return leaf.authority != subject.file; });
  return leaves;
}

// Servers send it no longer.
Result<> remove_cross(const fs::path& dir, const PkiOptions& options, const Subject& subject) {
  if (!subject.is_authority || !is_there(subject.cross)) return {};
  RN_TRY(const std::string cross, read_text(subject.cross));
  RN_TRY(const auto leaves, leaves_of(options, subject));
  for (const PkiLeaf& leaf : leaves) {
    RN_TRY(std::string text, read_text(certificate_path(dir, leaf.file)));
    if (!text.ends_with(cross)) continue;
    text.resize(text.size() - cross.size());
    RN_CHECK(write_atomically(certificate_path(dir, leaf.file), text, public_mode));
  }
  return remove_file(subject.cross);
}

}  // namespace

Result<RotationPhase> rotation_phase(const fs::path& dir, std::string_view name) {
  RN_TRY(const Subject subject, subject_of(dir, name));
  RN_TRY(const State state, read_state(subject));
  return state.phase;
}

Result<> trust_new(const fs::path& dir, const PkiOptions& options, std::string_view name, SystemTime now) {
  RN_TRY(const Subject subject, subject_of(dir, name));
  RN_TRY(const State state, read_state(subject));
  if (state.phase == RotationPhase::both_trusted) return {};
  if (state.phase == RotationPhase::new_signs)
    return out_of_order(subject, "a rotation is under way, and the new key signs already: end it first");
  // A next key without its place in the list is of a step that was cut off: it is made anew.
  std::string key, block;
  if (subject.is_authority) {
    RN_TRY(KeyPair made,
           make_authority({.common_name = subject.common_name, .algorithm = options.algorithm}, now));
    key = std::move(made.key_pem);
    block = std::move(made.certificate_pem);
  } else {
    RN_TRY(key, generate_key(options.algorithm));
    RN_TRY(block, public_key_of(key));
  }
  // The key first: what is trusted must not be without it.
  RN_CHECK(write_atomically(subject.next_key, key, private_mode));
  if (subject.is_authority) RN_CHECK(write_cross(subject, state.signing, block, now));
  return write_list(subject, state.signing + block);
}

Result<> forget_new(const fs::path& dir, std::string_view name) {
  RN_TRY(const Subject subject, subject_of(dir, name));
  RN_TRY(const State state, read_state(subject));
  if (state.phase == RotationPhase::new_signs)
    return out_of_order(subject, "the new key signs already, the rotation can only go on");
  if (state.phase == RotationPhase::both_trusted) RN_CHECK(write_list(subject, state.signing));
  RN_CHECK(remove_file(subject.cross));
  return remove_file(subject.next_key);
}

Result<> sign_with_new(const fs::path& dir, const PkiOptions& options, std::string_view name,
                       SystemTime now) {
  RN_TRY(const Subject subject, subject_of(dir, name));
  RN_TRY(State state, read_state(subject));
  RN_TRY(const auto leaves, leaves_of(options, subject));
  if (state.phase == RotationPhase::none)
    return out_of_order(subject, "there is no second one to go over to: trust a new one first");
  if (state.phase == RotationPhase::both_trusted) {
    // From this write on the new one signs, in whatever order the list is.
    RN_CHECK(write_atomically(subject.key, *state.next, private_mode));
    RN_TRY(state, read_state(subject));
  }
  if (!state.is_in_order) RN_CHECK(write_list(subject, state.signing + state.other));
  RN_CHECK(remove_file(subject.next_key));
  if (!subject.is_authority) return {};
  RN_TRY(const std::string key, read_text(subject.key));
  const KeyPair signer{state.signing, key};
  for (const PkiLeaf& leaf : leaves) {
    if (is_of(dir, leaf, state.signing)) continue;
    RN_TRY(KeyPair pair, issue(signer, leaf.request, now));
    RN_CHECK(write_leaf(dir, leaf, std::move(pair)));
  }
  return {};
}

Result<> drop_old(const fs::path& dir, const PkiOptions& options, std::string_view name) {
  RN_TRY(const Subject subject, subject_of(dir, name));
  RN_TRY(const State state, read_state(subject));
  if (state.phase == RotationPhase::both_trusted)
    return out_of_order(subject, "the old key still signs: go over to the new one first");
  if (state.phase == RotationPhase::new_signs) {
    RN_TRY(const auto leaves, leaves_of(options, subject));  // of `sa` there is none
    for (const PkiLeaf& leaf : leaves)
      if (!is_of(dir, leaf, state.signing))
        return out_of_order(subject, fmt::format("{}.crt is still of the old authority", leaf.file));
    RN_CHECK(write_list(subject, state.signing));
    RN_CHECK(remove_file(subject.next_key));
  }
  // Also what a drop that was cut off has left.
  return remove_cross(dir, options, subject);
}

}  // namespace rusternetes::certs
