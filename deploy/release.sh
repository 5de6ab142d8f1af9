#!/usr/bin/env bash
# Makes a release of the commit that is checked out, in the folder dist: for each
# platform a tar.gz with the program, its manual pages, its completions and what
# installs it; an SBOM; and SHA256SUMS over all of them.
#
# Each binary is built twice, the second time elsewhere and from nothing, and the
# two are compared. Anyone who runs this on the same commit, with the same
# version of Go, gets the same files.
#
#   deploy/release.sh [PLATFORM...]
set -euo pipefail
export LC_ALL=C TZ=UTC
cd "$(dirname "$0")/.."

platforms=("$@")
[ $# -gt 0 ] || platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64)
cyclonedx=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

[ -z "$(git status --porcelain)" ] || {
	echo "release.sh: the tree has changes that are not committed, which the release would not have" >&2
	exit 1
}
commit=$(git rev-parse HEAD)
version=$(git describe --tags --exact-match --match 'v*' 2>/dev/null || true)
if [ -z "$version" ]; then
	version=v0.0.0-$(git show -s --format=%cd --date=format:%Y%m%d%H%M%S HEAD)-${commit:0:12}
	echo "release.sh: no tag v… is on this commit: it is called $version" >&2
fi
# Whatever has a date has the commit's.
SOURCE_DATE_EPOCH=$(git show -s --format=%ct HEAD)
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
rm -rf dist
mkdir dist

# build FOLDER PLATFORM FILE builds the program from a tree.
build() {
	(
		cd "$1"
		CGO_ENABLED=0 GOFLAGS='' GOOS=${2%/*} GOARCH=${2#*/} \
			go build -trimpath -buildvcs=true -ldflags='-s -w -X main.program=deploytoken' -o "$3" ./cmd/bot
	)
}

git clone -q --no-hardlinks . "$work/clone"
mkdir "$work/one" "$work/two"
for platform in "${platforms[@]}"; do
	file=deploytoken_${platform/\//_}
	build "$PWD" "$platform" "$work/one/$file"
	GOCACHE="$work/cache" build "$work/clone" "$platform" "$work/two/$file"
	cmp "$work/one/$file" "$work/two/$file"
	echo "$platform: built twice, the same, $(stat -c %s "$work/one/$file") bytes"
done

# The manual pages and completions are the same on each platform.
build "$PWD" "$(go env GOHOSTOS)/$(go env GOHOSTARCH)" "$work/deploytoken"
"$work/deploytoken" man "$work/common/man/man1"
mkdir -p "$work/common/completions"
"$work/deploytoken" completion bash >"$work/common/completions/deploytoken.bash"
"$work/deploytoken" completion zsh >"$work/common/completions/_deploytoken"
"$work/deploytoken" completion fish >"$work/common/completions/deploytoken.fish"
cp -RL README.md CHANGELOG.md CONTRIBUTING.md LICENSE docs deploy "$work/common"

for platform in "${platforms[@]}"; do
	name=deploytoken_${version#v}_${platform/\//_}
	mkdir "$work/$name"
	cp -R "$work/common/." "$work/$name"
	cp "$work/one/deploytoken_${platform/\//_}" "$work/$name/deploytoken"
	chmod -R u=rwX,go=rX "$work/$name"
	tar --create --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu \
		--mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip --no-name --best >"dist/$name.tar.gz"
done

(cd "$work/clone" && go run "$cyclonedx" app -json -licenses -noserial -main cmd/bot -output "$work/sbom.json" .)
# Its time is the only thing that differs between two runs.
sed "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/" \
	"$work/sbom.json" >"dist/deploytoken_${version#v}.cdx.json"

(cd dist && sha256sum ./* | sed 's# \./# #' >SHA256SUMS)
"$work/deploytoken" version
cat dist/SHA256SUMS
du -h dist/*
