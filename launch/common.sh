# shellcheck shell=bash
# Sourced by the scripts beside it: one-time set-up, the number of cores, the MPI environment.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=$root/.build/release/gan-dist

swift_wanted=6.2     # the oldest that builds the package
swift_installed=6.3.1 # what is installed where there is none

# Never fails: the terminal may be gone.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2 || true; }
die() { # CODE MESSAGE...
    local code=$1
    shift
    say "$@"
    exit "$code"
}
have() { command -v "$1" >/dev/null 2>&1; }

# ---- set-up -----------------------------------------------------------------------------------------------------

# need_packages PACKAGE...: installs them, saying so first.
need_packages() {
    have apt-get || die 70 "missing: $*
Those are Debian's names. Install what your system calls them, then start again."
    local install="apt-get install --no-install-recommends $*" as_root=()
    if ((EUID != 0)); then
        have sudo || die 70 "missing, and only root can install it: $install"
        as_root=(sudo)
    fi
    say "installing: ${as_root[*]:+sudo }$install"
    local output
    # The index of a fresh container is empty and that of an old one names files that are gone.
    output=$("${as_root[@]}" apt-get update --quiet=2 2>&1) ||
        say "apt-get update failed; going on with the package index at hand"
    output=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "$@" 2>&1) ||
        die 70 "apt-get could not install $*:
$(tail -n 20 <<<"$output")"
}

# Asks the tools themselves rather than the package manager, so that an Open MPI from elsewhere counts too.
setup_packages() {
    local missing=()
    have mpirun || missing+=(openmpi-bin)
    have pkg-config || missing+=(pkg-config)
    pkg-config --exists ompi-c 2>/dev/null || missing+=(libopenmpi-dev)
    pkg-config --exists zlib 2>/dev/null || missing+=(zlib1g-dev)
    pkg-config --exists libpng 2>/dev/null || missing+=(libpng-dev)
    pkg-config --exists libcrypto 2>/dev/null || missing+=(libssl-dev)
    have git || missing+=(git ca-certificates)
    have cc || missing+=(gcc libc6-dev)
    have python3 || missing+=(python3)
    ((${#missing[@]} == 0)) || need_packages "${missing[@]}"
}

# Prints Swift's version, or nothing.
swift_version() {
    { swift --version 2>/dev/null || true; } | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1
}

swift_is_usable() {
    local found
    found=$(swift_version)
    [[ -n $found && $(printf '%s\n' "$swift_wanted" "$found" | sort -V | head -n 1) == "$swift_wanted" ]]
}

# Makes a Swift that swiftly installed visible; the user's shell may not have read its profile again.
swiftly_environment() {
    local environment=${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly}/env.sh
    # shellcheck disable=SC1090
    [[ ! -f $environment ]] || . "$environment"
    hash -r
}

# pip is one of the ways to the data; a fetch is the only one to want it.
setup_fetch() {
    python3 -m pip --version >/dev/null 2>&1 || have pip3 || need_packages python3-pip
}

setup_swift() {
    swift_is_usable && return
    swiftly_environment
    swift_is_usable && return

    local found archive url folder
    found=$(swift_version)
    [[ -n $found ]] || ! have swift || say "$(command -v swift) does not run: $(swift --version 2>&1 | head -n 1)"
    archive=swiftly-$(uname -m).tar.gz
    url=https://download.swift.org/swiftly/linux/$archive
    say "${found:+Swift $found is older than $swift_wanted; }installing Swift $swift_installed by swiftly into $HOME"
    local missing=()
    have curl || missing+=(curl ca-certificates)
    have gpg || missing+=(gnupg) # swiftly checks the toolchain's signature with it
    ((${#missing[@]} == 0)) || need_packages "${missing[@]}"

    folder=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf -- $(printf %q "$folder")" EXIT
    if ! have swiftly; then
        {
            curl --fail --silent --show-error --location --connect-timeout 15 --retry 2 \
                --output "$folder/$archive" "$url" &&
                tar -xzf "$folder/$archive" -C "$folder" &&
                "$folder/swiftly" init --assume-yes --quiet-shell-followup --skip-install --no-modify-profile >&2
        } || swift_unreachable "$url"
        swiftly_environment
    fi
    swiftly install --use --assume-yes --post-install-file="$folder/post-install.sh" "$swift_installed" >&2 ||
        swift_unreachable "$url"
    # The packages that the toolchain itself wants: swiftly leaves them to the administrator.
    if [[ -f $folder/post-install.sh ]]; then
        local as_root=()
        ((EUID == 0)) || as_root=(sudo)
        say "installing what the toolchain wants: ${as_root[*]:+sudo }$(grep -v '^#' "$folder/post-install.sh" || true)"
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive bash "$folder/post-install.sh" >&2 ||
            die 70 "the toolchain is installed, but not all that it wants; run that as root, then start again"
    fi
    rm -rf -- "$folder"
    trap - EXIT
    swiftly_environment
    swift_is_usable || die 70 "swiftly ended well but 'swift --version' says '$(swift_version)', not $swift_wanted or newer"
}

swift_unreachable() { # URL
    die 70 "Swift $swift_wanted or newer is needed and could not be installed from $1.
Where the network has no way out, bring it by hand and start again:
  - download a toolchain for this system at https://www.swift.org/install/linux/ on another machine, unpack it here
    and put its usr/bin first in PATH; or
  - build in the container of cluster/Dockerfile."
}

# Builds release, unless nothing is newer than the last build that ended well.
setup_build() {
    local stamp=$root/.build/launch.stamp inputs=("$root/Package.swift" "$root/Sources")
    if [[ -x $binary && -f $stamp && -z $(find "${inputs[@]}" -newer "$stamp" -print -quit) ]]; then
        return
    fi
    mkdir -p "$root/.build"
    touch "$stamp.new" # before the build: what changes while it runs is newer
    say "building (swift build -c release)"
    swift build --package-path "$root" -c release --static-swift-stdlib --product gan-dist >&2 ||
        die 70 "the build failed"
    mv "$stamp.new" "$stamp"
}

setup() {
    setup_packages
    setup_swift
    setup_build
}

# ---- cores and MPI ----------------------------------------------------------------------------------------------

# Physical cores that this process's affinity admits: two hyperthreads share one core's multipliers.
affinity_cores() {
    local allowed sibling
    allowed=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
    for sibling in ${allowed//,/ }; do
        seq "${sibling%-*}" "${sibling#*-}"
    done | while read -r cpu; do
        cat "/sys/devices/system/cpu/cpu$cpu/topology/thread_siblings_list" 2>/dev/null || echo "$cpu"
    done | sort -u | wc -l
}

# Cores that the control groups' CPU quota admits, at least 1; nothing where there is none. Version 2, then version 1.
quota_cores() {
    local group quota period
    group=$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null || true)
    while :; do # a parent's quota binds its children
        if read -r quota period 2>/dev/null <"/sys/fs/cgroup${group%/}/cpu.max" && [[ $quota != max ]]; then
            echo $((quota < period ? 1 : quota / period))
        fi
        [[ -n ${group%/} ]] || break
        group=${group%/*}
    done
    quota=$(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || echo -1)
    period=$(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || echo 100000)
    ((quota <= 0)) || echo $((quota < period ? 1 : quota / period))
}

usable_cores() { { affinity_cores; quota_cores; } | sort -n | head -n 1; }

# mpi_environment RANKS: sets what Open MPI needs on this machine, and mpirun_options. What the user set stays.
mpi_environment() {
    local ranks=$1 cores
    cores=$(usable_cores)
    if ((EUID == 0)); then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    # Open MPI counts slots its own way (in a container often 1); how many ranks make sense is decided here.
    export OMPI_MCA_rmaps_base_oversubscribe=${OMPI_MCA_rmaps_base_oversubscribe:-1}
    # A rank that spins while it waits takes the core that another one needs to get ready.
    if ((ranks > cores)); then
        export OMPI_MCA_mpi_yield_when_idle=${OMPI_MCA_mpi_yield_when_idle:-1}
    fi
    # mpirun insists on a remote shell even where it starts nothing remote.
    if ! have ssh && ! have rsh && [[ -z ${SLURM_JOB_ID:-} ]]; then
        export OMPI_MCA_plm=${OMPI_MCA_plm:-isolated}
    fi
    # Copying straight from another process's memory is forbidden in many containers, and no faster for small messages.
    export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
    # A rank keeps its core only where the ranks fill the machine: otherwise two jobs would share the first cores.
    # Measurements on a quiet machine set PIN_RANKS=1 to pin fewer ranks too.
    mpirun_options=(-np "$ranks" --bind-to none)
    if [[ -z $(quota_cores) ]] && ((ranks == cores || (ranks < cores && ${PIN_RANKS:-0}))); then
        mpirun_options=(-np "$ranks" --bind-to core:if-supported)
    fi
}

# run_ranks RANKS COMMAND...: the command on that many ranks of this machine; mpirun's exit code.
run_ranks() {
    local ranks=$1
    shift
    mpi_environment "$ranks"
    mpirun "${mpirun_options[@]}" "$@"
}
