# shellcheck shell=bash
# Sourced by the scripts beside it: one-time set-up, the number of cores, the MPI environment.

# What the caller's shell exports must not change what these scripts and their tools do. (The -p of their first line
# keeps out the rest: functions, BASH_ENV, the shell's own options.)
unset -v CDPATH GLOBIGNORE POSIXLY_CORRECT GREP_OPTIONS
# A bare environment: bash fills in a PATH, but only for itself.
export PATH HOME=${HOME:-~}
# A descriptor that was closed would be the next file's that is opened.
[[ -e /dev/fd/0 ]] || exec </dev/null
[[ -e /dev/fd/1 ]] || exec >/dev/null
[[ -e /dev/fd/2 ]] || exec 2>/dev/null

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
binary=$root/.build/release/gan-dist

swift_wanted=6.2     # the oldest that builds the package
swift_installed=6.3.1 # what is installed where there is none

# Never fails: the terminal or the reader may be gone.
say() { (trap '' PIPE TTOU && printf '%s: %s\n' "${0##*/}" "$*" >&3) 3>&2 2>/dev/null || true; }
die() { # CODE MESSAGE...
    local code=$1
    shift
    say "$@"
    exit "$code"
}
have() { command -v "$1" >/dev/null 2>&1; }
# The comment at the head of the script that was started.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$(readlink -f "$0")"; }

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
    pkg-config --exists libjpeg 2>/dev/null || missing+=(libjpeg-dev)
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

# Python fetches, and pip is one of the ways to the data.
setup_fetch() {
    have python3 || need_packages python3
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

# What a build depends on besides the sources, one a line. Needs Swift.
build_origin() {
    printf 'in %s\non %s\nwith %s\nby %s\n' "$root" "$(uname -m)" "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'no glibc')" \
        "$(swift --version 2>/dev/null | sed -n '/Swift version/{p;q}')"
}

# forget_elsewhere FOLDER: empties a build folder, fetched packages aside, that another place, machine or compiler filled:
# the package manager and the compiler's caches remember absolute paths, and a build with them fails. Needs Swift.
forget_elsewhere() {
    local folder=$1 origin found why=''
    origin=$(build_origin)
    if [[ -f $folder/launch.origin ]]; then
        found=$(<"$folder/launch.origin")
        [[ $found == "$origin" ]] || why=$(grep -vxF -m 1 -e "$origin" <<<"$found" || echo "otherwise")
    elif compgen -G "$folder/*.yaml" >/dev/null &&
        ! grep -qsF -e "$folder/" -e "$(readlink -f "$folder")/" "$folder"/*.yaml; then
        why="in another folder" # built by hand: what the package manager planned tells where
    fi
    if [[ -n $why ]]; then
        say "${folder#"$root"/} was made $why; building everything anew"
        swift package --package-path "$root" --scratch-path "$folder" clean >&2 ||
            die 70 "$folder could not be emptied; remove it, then start again"
    fi
    mkdir -p "$folder"
    printf '%s\n' "$origin" >"$folder/launch.origin"
}

# Whether nothing is newer than the last build that ended well.
is_built() {
    local stamp=$root/.build/launch.stamp
    [[ -x $binary && -f $stamp && -z $(find "$root/Package.swift" "$root/Sources" -newer "$stamp" -print -quit) ]]
}

runs_here() { "$binary" --version </dev/null >/dev/null 2>&1; }
why_not() { "$binary" --version </dev/null 2>&1 | tail -n 1; }

setup_toolchain() {
    setup_packages
    setup_swift
    forget_elsewhere "$root/.build"
}

setup_build() {
    local stamp=$root/.build/launch.stamp
    touch "$stamp.new" # before the build: what changes while it runs is newer
    say "building (swift build -c release)"
    swift build --package-path "$root" -c release --static-swift-stdlib --product gan-dist >&2 ||
        die 70 "the build failed"
    runs_here || die 70 "the build ended well, but $binary does not run: $(why_not)"
    mv "$stamp.new" "$stamp"
}

# Installs and builds what is missing. Swift is wanted only where there is something to build.
setup() {
    have mpirun || need_packages openmpi-bin
    if is_built; then
        ! runs_here || return 0
        setup_packages # a library may be all that it lacks
        ! runs_here || return 0
        say "$binary does not run on this machine: $(why_not)"
        echo "for another machine" >"$root/.build/launch.origin"
    fi
    setup_toolchain
    setup_build
}

# ---- cores and MPI ----------------------------------------------------------------------------------------------

# The CPUs of a list such as 0-3,8, one a line.
cpus() {
    local range
    for range in ${1//,/ }; do
        seq "${range%-*}" "${range#*-}"
    done
}

online_cpus() { cpus "$(cat /sys/devices/system/cpu/online 2>/dev/null || echo "0-$(($(nproc --all) - 1))")"; }

# Those that this process's affinity admits; the mask may name CPUs that are not there.
allowed_cpus() {
    grep -xF -f <(online_cpus) <(cpus "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)")
}

# Physical cores among them: two hyperthreads share one core's multipliers.
affinity_cores() {
    local cpu
    allowed_cpus | while read -r cpu; do
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
    # Measurements on a quiet machine set PIN_RANKS=1 to pin fewer ranks too. mpirun counts cores from the machine's
    # first one, and does not look at the affinity that it was started with: in a part of the machine it must not bind.
    mpirun_options=(-np "$ranks" --bind-to none)
    if [[ -n ${OMPI_MCA_hwloc_base_binding_policy:-} ]]; then
        mpirun_options=(-np "$ranks")
    elif [[ -z $(quota_cores) && $(allowed_cpus) == "$(online_cpus)" ]] &&
        ((ranks == cores || (ranks < cores && ${PIN_RANKS:-0}))); then
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
