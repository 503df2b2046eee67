#include "launcher/failure.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>

namespace rusternetes::launcher {
namespace {

constexpr std::array kinds{
    ErrorKind{"Usage", 2,
              "`rusternetes-ctl --help` lists commands; `rusternetes-ctl COMMAND --help` its flags."},
    ErrorKind{"BadRequest", 2, "Correct the value and run the command again."},
    ErrorKind{"ConfigBroken", 2, "Correct the file, from which nothing was done, and run the command again."},
    ErrorKind{"InvalidName", 2,
              "Use lower-case letters, digits and '-', beginning with a letter, at most 40."},
    ErrorKind{"NotSupported", 2, "Leave the flag out, or use what this release has."},
    ErrorKind{"ConfirmationRequired", 2, "Add --yes if that is what you want."},
    ErrorKind{"ClusterNotFound", 3, "`rusternetes-ctl list` shows the clusters of this home."},
    ErrorKind{"ImageNotFound", 3,
              "Build or load the image in an engine of this host first, or pass --archive FILE."},
    ErrorKind{"BadArchive", 3, "Write it again, for example: podman save -o FILE IMAGE."},
    ErrorKind{"ManifestBroken", 3, "`rusternetes-ctl create --dry-run` prints what would be used."},
    ErrorKind{"NotFound", 3, ""},
    ErrorKind{"ClusterExists", 4, "Choose another name, or delete the cluster first."},
    ErrorKind{"FolderInTheWay", 4, "Move the folder away if nothing in it is needed."},
    ErrorKind{"ReleaseDiffers", 2,
              "`rusternetes-ctl upgrade NAME` brings the cluster to this release; or use the release that it runs."},
    ErrorKind{"ReleaseOlder", 2,
              "Use a rusternetes-ctl of the cluster's release or a later one; `rollback` goes back to the one before."},
    ErrorKind{"ReleaseSkew", 2, "Upgrade by way of the releases in between, one minor version at a time."},
    ErrorKind{"NoPreviousRelease", 3, "`rusternetes-ctl snapshot list NAME` shows what else there is to go back to."},
    ErrorKind{"UpgradeFailed", 9,
              "The cluster runs on: correct what the component said, and run the command again."},
    ErrorKind{"NotRoot", 5, "Run the command as root, for example with sudo."},
    ErrorKind{"BinaryMissing", 5,
              "Build everything (scripts/build) or install the missing program beside rusternetes-ctl."},
    ErrorKind{
        "EtcdMissing", 5,
        "Install etcd, for example: apt install etcd-server; or name an image with --image etcd=REFERENCE."},
    ErrorKind{"EngineUnreachable", 5,
              "Install and start Podman or Docker, for example: apt install podman runc."},
    ErrorKind{"RootlessEngine", 5, "Use the engine that root runs."},
    ErrorKind{"Forbidden", 5, "Run the command as root, for example with sudo."},
    ErrorKind{"PathTooLong", 5, "Choose a shorter --home."},
    ErrorKind{"AddressConflict", 6, "Choose another range or port, or leave the flag out to get a free one."},
    ErrorKind{"PoolExhausted", 6, "Delete a cluster, or choose a range or port by its flag."},
    ErrorKind{"Conflict", 6, "`rusternetes-ctl list` shows what each cluster holds."},
    ErrorKind{"StateForeign", 7, "Choose another --home, or move the file away."},
    ErrorKind{"StateNewer", 7, "Use the release that wrote it, or a later one."},
    ErrorKind{"StateDamaged", 7,
              "Restore the file from a copy, or move it away and delete leftovers by hand."},
    ErrorKind{"DropRuleFailed", 8,
              "Check that the kernel has nf_tables; without this rule no cluster is started."},
    ErrorKind{"ProcessFailed", 8, "`rusternetes-ctl logs` shows what the process said."},
    ErrorKind{
        "StepFailed", 8,
        "What was begun is undone or will be finished by the next command; correct the cause and repeat."},
    ErrorKind{"RecoveryFailed", 8, "Correct the cause and run any command again, or delete the cluster."},
    ErrorKind{"NotReady", 9,
              "The cluster is kept: see `rusternetes-ctl status` and `rusternetes-ctl logs`, or wait longer "
              "with --wait."},
    ErrorKind{"NotDrained", 9,
              "Nothing was changed: see what keeps the Pod (a PodDisruptionBudget?), or wait longer with "
              "--timeout."},
    ErrorKind{"BarePods", 4, "Delete them first, or let them go with --force."},
    ErrorKind{"ClusterStopped", 9, "`rusternetes-ctl start NAME` brings it up."},
    ErrorKind{
        "ClusterEnded", 9,
        "`rusternetes-ctl start NAME` brings it up with the Pods it had, as after a restart of the host."},
    ErrorKind{"ComponentEnded", 9,
              "`rusternetes-ctl start NAME` starts what does not run; Pods that run stay as they are."},
    ErrorKind{"EngineStopped", 9,
              "`rusternetes-ctl start NAME` starts it again; Pods that run stay as they are."},
    ErrorKind{"RotationUnderWay", 9,
              "`rusternetes-ctl certs list NAME` shows it, `rusternetes-ctl certs rotate NAME --drop-old` ends it."},
    ErrorKind{"CertificatesExpire", 9, "`rusternetes-ctl certs rotate NAME` makes new ones."},
    ErrorKind{"SnapshotNotFound", 3, "`rusternetes-ctl snapshot list --all` shows what there is."},
    ErrorKind{"FileInTheWay", 4, "Name another file, or move the one that is there away."},
    ErrorKind{"SnapshotOfAnother", 6,
              "`rusternetes-ctl clone NEWNAME --from ID` makes a cluster of its own from the snapshot."},
    ErrorKind{
        "StoreUnreachable", 9,
        "See `rusternetes-ctl status` and `rusternetes-ctl logs`; a stopped cluster's store can be read."},
    ErrorKind{"StoreInUse", 9, "Stop the cluster first: `rusternetes-ctl stop NAME`."},
    ErrorKind{"StoreDamaged", 12, "`rusternetes-ctl restore NAME --id ID` puts a snapshot in its place."},
    ErrorKind{"SnapshotForeign", 12, "Name a file that `rusternetes-ctl snapshot` made."},
    ErrorKind{"SnapshotCut", 12, "Copy the file again from where it was made."},
    ErrorKind{"SnapshotDamaged", 12, "Take another copy of the file, or another snapshot."},
    ErrorKind{"SnapshotNewer", 12, "Use the release that wrote it, or a later one."},
    ErrorKind{"EtcdSnapshotForeign", 12,
              "Name a file that `etcdctl snapshot save` made of the etcd of a Kubernetes cluster."},
    ErrorKind{
        "EncryptedAtRest", 12,
        "There, put the provider `identity` first in the EncryptionConfiguration, write every object anew "
        "(kubectl get KIND -A -o json | kubectl replace -f -), and save another snapshot."},
    ErrorKind{"UnservedVersion", 12,
              "There, write these objects anew (kubectl get KIND -A -o json | kubectl replace -f -), or "
              "upgrade the "
              "cluster, and save another snapshot."},
    ErrorKind{"PassphraseNeeded", 13, "Add --passphrase-file FILE; its first line is the passphrase."},
    ErrorKind{"PassphraseWrong", 13, "Name the file that the snapshot was made with."},
    ErrorKind{"NoSpace", 14, "Make room on the disk and run the command again; nothing was changed."},
    ErrorKind{"KubeconfigBroken", 10,
              "Correct or move the file; `rusternetes-ctl kubeconfig` prints the cluster's own."},
    ErrorKind{"KubeconfigLocked", 10, "If no kubectl is writing it, remove the lock file."},
    ErrorKind{"HostProblem", 11,
              "Do what `rusternetes-ctl doctor` says below each problem, and run it again."},
    ErrorKind{"Interrupted", 130, ""},
    ErrorKind{"InternalError", 1, ""},
};

}  // namespace

std::span<const ErrorKind> error_kinds() { return kinds; }

const ErrorKind& error_kind(std::string_view id) {
  const auto* found =
      std::find_if(kinds.begin(), kinds.end(), [&](const ErrorKind& kind) { return kind.id == id; });
  return found == kinds.end() ? kinds.back() : *found;
}

boost::json::object error_json(const Status& status) {
  const ErrorKind& kind = error_kind(status.reason);
  return {{"id", std::string(kind.id)},
          {"message", status.message},
          {"advice", std::string(kind.advice)},
          {"exitCode", kind.exit_code}};
}

Status failure(std::string_view id, std::string message) {
  const ErrorKind& kind = error_kind(id);
  RN_ASSERT(kind.id == id, "an error id that is not in the table");
  return Status(500, std::string(id), std::move(message));
}

}  // namespace rusternetes::launcher
