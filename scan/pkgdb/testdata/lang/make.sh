#!/bin/bash
# Makes the *.txtar files here with the real package managers: npm, pnpm and
# yarn from the npm registry; pip, gem and composer, as Debian 12 has them, from
# sources below. Usage: make.sh EMPTY-DIRECTORY
#
# Each archive holds what was installed, as an image has it: the files that
# describe packages, package.json without what no reader wants, and all others empty. Its last part, "oracle", is what the
# package manager itself says: a line per file that it knows the package of,
# PATH TAB NAME SPACE VERSION.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1
cd "$work"
export npm_config_cache=$work/npm HOME=$work COMPOSER_HOME=$work/composer COMPOSER_ALLOW_SUPERUSER=1

cat >pack.py <<'PY'
import json, os, re, sys
root, out = sys.argv[1:3]
oracle = {}
for line in sys.stdin:
    if line.strip():
        path, package = line.rstrip('\n').split('\t')
        oracle[path] = package
describing = re.compile(r'/package\.json$|package-lock\.json$|/\.yarn-integrity$|/\.pnpm/lock\.yaml$'
                        r'|\.(dist|egg)-info/(METADATA|RECORD|PKG-INFO|top_level\.txt|requires\.txt|installed-files\.txt)$'
                        r'|\.gemspec$|composer\.json$|/installed\.json$|/\.pnp\.cjs$')
with open(out, 'w') as archive:
    archive.write('Made by make.sh.\n')
    for dir, dirs, names in os.walk(root):
        dirs.sort()
        for name in sorted(names):
            full = os.path.join(dir, name)
            path = os.path.relpath(full, root)
            if os.path.islink(full):
                continue
            archive.write(f'-- {path} --\n')
            if describing.search('/' + path):
                text = open(full).read()
                if name == 'package.json' and '/node_modules/' in path:
                    text = json.dumps({k: v for k, v in json.loads(text).items() if k in ('name', 'version', 'bin') or 'ependencies' in k}, indent=1)
                if name == '.pnp.cjs':
                    text = text[:text.index("}';") + 4]
                archive.write(text if not text or text.endswith('\n') else text + '\n')
    archive.write('-- oracle --\n')
    for path in sorted(oracle):
        archive.write(f'{path}\t{oracle[path]}\n')
PY

# npm: a nested conflict, an alias, a scope, a direct dependency for development
# that others need as well.
mkdir -p npm-root/app
cat >npm-root/app/package.json <<'JSON'
{"name": "app", "version": "1.0.0",
 "dependencies": {"debug": "4.3.4", "sw": "npm:string-width@4.2.3", "@types/ms": "0.7.31", "finalhandler": "1.2.0"},
 "devDependencies": {"ms": "2.0.0", "once": "1.4.0"}, "optionalDependencies": {"fsevents": "2.3.3"}}
JSON
mkdir -p pnpm-root yarn-root
cp -r npm-root/app pnpm-root/app
cp -r npm-root/app yarn-root/app
(cd npm-root/app && npm install --no-audit --no-fund)
(cd pnpm-root/app && npx -y pnpm@9.15.9 install)
(cd yarn-root/app && npx -y yarn@1.22.22 install)

cat >node.py <<'PY'
# Of pnpm and yarn, npm ls tells as much as of npm: which directories are packages.
import json, os, subprocess, sys
root, ls = sys.argv[1:3]
packages = {}
if ls == 'npm':
    text = subprocess.run(['npm', 'ls', '--all', '--parseable', '--long'], cwd=root + '/app', capture_output=True, text=True).stdout
    for line in text.splitlines():
        path, name = line.split(':', 1)
        if '/node_modules/' not in path:
            continue
        name = name.split(':npm:')[-1].split('npm:')[-1].split(':')[0]
        packages[os.path.relpath(path, root)] = name.rpartition('@')[0] + ' ' + name.rpartition('@')[2]
else:
    for dir, _, names in os.walk(root):
        parent = os.path.dirname(dir)
        if os.path.basename(parent).startswith('@'):
            parent = os.path.dirname(parent)
        if os.path.basename(parent) == 'node_modules' and 'package.json' in names:
            m = json.load(open(dir + '/package.json'))
            packages[os.path.relpath(dir, root)] = m['name'] + ' ' + m['version']
for dir, _, names in os.walk(root):
    at = os.path.relpath(dir, root)
    while at and at not in packages:
        at = os.path.dirname(at)
    if at:
        for name in names:
            if not os.path.islink(os.path.join(dir, name)):
                print(os.path.relpath(os.path.join(dir, name), root) + '\t' + packages[at])
PY
python3 node.py npm-root npm | python3 pack.py npm-root "$here/npm.txtar"
python3 node.py pnpm-root walk | python3 pack.py pnpm-root "$here/pnpm.txtar"
python3 node.py yarn-root walk | python3 pack.py yarn-root "$here/yarn.txtar"

# yarn 4 without node_modules, the archives by their first entries.
mkdir -p pnp-root/app
cp pnpm-root/app/package.json pnp-root/app
printf 'enableTelemetry: false\nenableGlobalCache: false\ncompressionLevel: 0\n' >pnp-root/app/.yarnrc.yml
touch pnp-root/app/yarn.lock
(cd pnp-root/app && npx -y -p @yarnpkg/cli-dist@4.5.0 yarn install)
cat >pnp.py <<'PY'
import glob, json, os, re, sys, zipfile
root = sys.argv[1]
for f in glob.glob(root + '/app/.yarn/cache/*.zip'):
    archive = zipfile.ZipFile(f)
    inside = [n for n in archive.namelist() if re.fullmatch('node_modules/(@[^/]+/)?[^/]+/package.json', n)]
    m = json.loads(archive.read(inside[0]))
    print(os.path.relpath(f, root) + '\t' + m['name'] + ' ' + m['version'])
for f in glob.glob(root + '/app/.yarn/unplugged/**/*', recursive=True, include_hidden=True):
    m = re.fullmatch('(.*/node_modules/(@[^/]+/)?[^/]+)/.*', f)
    if os.path.isfile(f) and m:
        m = json.load(open(m[1] + '/package.json'))
        print(os.path.relpath(f, root) + '\t' + m['name'] + ' ' + m['version'])
PY
python3 pnp.py pnp-root | python3 pack.py pnp-root "$here/pnp.txtar"

# npm, a workspace.
mkdir -p workspace-root/app/packages/{a,b}
echo '{"name": "root", "private": true, "workspaces": ["packages/*"]}' >workspace-root/app/package.json
echo '{"name": "a", "version": "1.0.0", "dependencies": {"debug": "4.3.4", "b": "*"}}' >workspace-root/app/packages/a/package.json
echo '{"name": "b", "version": "1.0.0", "dependencies": {"ms": "2.0.0"}, "devDependencies": {"once": "1.4.0"}}' >workspace-root/app/packages/b/package.json
(cd workspace-root/app && npm install --no-audit --no-fund)
python3 node.py workspace-root npm | grep /node_modules/ | python3 pack.py workspace-root "$here/workspace.txtar"

# Python: wheels by pip, with and without compiling, and the egg-info of old.
mkdir -p py/alpha/alpha_pkg/sub py/beta py/gamma/gamma
cat >py/alpha/setup.py <<'PY'
from setuptools import setup
setup(name="Alpha.Pkg", version="1.2.0", packages=["alpha_pkg", "alpha_pkg.sub"],
      install_requires=["Beta_Lib[fast]>=1", 'ghost; python_version<"3"'], extras_require={"x": ["never"]},
      entry_points={"console_scripts": ["alpha=alpha_pkg:main"]},
      data_files=[("share/alpha", ["notes, and more.txt"])], scripts=["tool.py"])
PY
echo 'def main(): pass' | tee py/alpha/alpha_pkg/__init__.py >py/alpha/alpha_pkg/sub/__init__.py
echo notes >'py/alpha/notes, and more.txt'
printf '#!/usr/bin/env python3\n' >py/alpha/tool.py
printf 'from setuptools import setup\nsetup(name="beta_lib", version="2.0+local.1", py_modules=["beta"])\n' >py/beta/setup.py
printf 'from setuptools import setup\nsetup(name="gamma", version="0.1", packages=["gamma"], py_modules=["gamma_one"], install_requires=["alpha-pkg"])\n' >py/gamma/setup.py
touch py/beta/beta.py py/gamma/gamma/__init__.py py/gamma/gamma_one.py
for s in alpha beta gamma; do (cd py/$s && /usr/bin/python3 setup.py -q bdist_wheel -d "$work/wheels"); done
/usr/bin/python3 -m venv --without-pip py-root/opt/venv
/usr/bin/python3 -m pip -q --python py-root/opt/venv install --no-index --find-links wheels Alpha.Pkg
/usr/bin/python3 -m pip -q --python py-root/opt/venv install --no-index --find-links wheels --no-compile gamma
site=py-root/opt/venv/lib/python3.11/site-packages
/usr/bin/python3 -m compileall -q $site
rm -rf py-root/opt/venv/bin/{python*,activate*,Activate*}
old=py-root/usr/local/lib/python3.11/dist-packages
(cd py/gamma && /usr/bin/python3 setup.py -q install --root "$work/py-root" --single-version-externally-managed --record "$work/record" --compile)
cat >python.py <<'PY'
import os, re, sys
from importlib.metadata import distributions
from importlib.util import cache_from_source
root = os.path.realpath(sys.argv[1])
for d in distributions(path=sys.argv[2:]):
    name = re.sub('[-_.]+', '-', d.metadata['Name']).lower()
    files = {os.path.normpath(os.path.join(os.path.realpath(str(d.locate_file(''))), f)) for f in d.files}
    files |= {cache_from_source(f) for f in files if f.endswith('.py') and '-packages/' in f}
    egg = os.path.realpath(str(d._path))
    files |= {os.path.join(egg, f) for f in os.listdir(egg)}
    for f in files:
        if os.path.isfile(f):
            print(os.path.relpath(f, root) + '\t' + name + ' ' + d.version)
PY
/usr/bin/python3 python.py py-root $site $old | python3 pack.py py-root "$here/python.txtar"

# Ruby: a gem with a program, one with an extension, and two of Ruby's own in the
# layout of its source distribution.
mkdir -p gem/one/{lib,bin} gem/two/{lib,ext/two}
cat >gem/one/one.gemspec <<'RB'
Gem::Specification.new do |s|
  s.name = "one-gem"; s.version = "1.0.0"; s.summary = "x"; s.authors = ["x"]
  s.files = ["lib/one.rb", "bin/onebin"]; s.executables = ["onebin"]
  s.add_dependency "two", ">= 1"
  s.add_development_dependency "rake", "> 1"
end
RB
cat >gem/two/two.gemspec <<'RB'
Gem::Specification.new do |s|
  s.name = "two"; s.version = "2.0.0.pre1"; s.summary = "x"; s.authors = ["x"]
  s.files = ["lib/two.rb", "ext/two/extconf.rb", "ext/two/two.c"]; s.extensions = ["ext/two/extconf.rb"]
end
RB
echo 'module One; end' >gem/one/lib/one.rb
echo 'puts 1' >gem/one/bin/onebin
echo 'module Two; end' >gem/two/lib/two.rb
echo 'require "mkmf"; create_makefile("two/two")' >gem/two/ext/two/extconf.rb
printf '#include <ruby.h>\nvoid Init_two(void) {}\n' >gem/two/ext/two/two.c
for g in two one; do
  (cd gem/$g && gem build -q $g.gemspec)
  gem install -q --local --ignore-dependencies --install-dir gem-root/usr/local/bundle --document ri gem/$g/*.gem
done
ruby=gem-root/usr/local/lib/ruby
mkdir -p $ruby/gems/3.1.0/specifications/default $ruby/3.1.0/x86_64-linux
cp /usr/lib/ruby/gems/3.1.0/specifications/default/{json,csv}-*.gemspec $ruby/gems/3.1.0/specifications/default/
cp -rL /usr/lib/ruby/3.1.0/{csv,json}* $ruby/3.1.0/
cp -r /usr/lib/x86_64-linux-gnu/ruby/3.1.0/json $ruby/3.1.0/x86_64-linux/
cat >gems.rb <<'RB'
root = ARGV[0]
Dir.glob(root + '/**/specifications/**/*.gemspec') do |f|
  spec = Gem::Specification.load(f)
  owned = [f] + Dir.glob("#{root}/**/{gems,doc}/#{spec.full_name}/**/*", File::FNM_DOTMATCH) +
    Dir.glob("#{root}/**/extensions/*/*/#{spec.full_name}/**/*") + spec.executables.map { |x| "#{root}/usr/local/bundle/bin/#{x}" }
  # The code of Ruby's own.
  owned += Dir.glob("#{root}/usr/local/lib/ruby/3.1.0/**/*").select { |x| x =~ %r{3\.1\.0/(x86_64-linux/)?#{spec.name}[/.]} } if f.include? '/default/'
  owned.each { |x| puts "#{x.delete_prefix(root + '/')}\t#{spec.name} #{spec.version}" if File.file? x }
end
RB
ruby gems.rb gem-root | python3 pack.py gem-root "$here/gem.txtar"

# Composer.
mkdir -p php/lib/bin php/dev php/meta php-root/srv
echo '{"name": "acme/lib", "version": "1.2.3", "require": {"php": ">=7", "ext-json": "*", "acme/meta": "*"}, "bin": ["bin/acme"], "provide": {"psr/log-implementation": "1"}}' >php/lib/composer.json
echo '{"name": "acme/dev", "version": "0.1.0", "require": {}}' >php/dev/composer.json
echo '{"name": "acme/meta", "version": "3.0.0", "type": "metapackage"}' >php/meta/composer.json
echo '<?php' | tee php/lib/bin/acme php/lib/lib.php >php/dev/dev.php
echo '{"name": "acme/app", "repositories": [{"packagist.org": false}, {"type": "path", "url": "../../php/*", "options": {"symlink": false}}], "require": {"acme/lib": "^1", "php": ">=7"}, "require-dev": {"acme/dev": "*"}}' >php-root/srv/composer.json
(cd php-root/srv && composer install -q --no-interaction)
cat >php.py <<'PY'
import json, os, subprocess, sys
root = sys.argv[1]
def composer(*args):
    return subprocess.run(['composer', 'show', *args], cwd=root + '/srv', capture_output=True, text=True, check=True).stdout
versions = {p['name']: p['version'] for p in json.loads(composer('-f', 'json'))['installed']}
for line in composer('--path').splitlines():
    name, path = line.split()[0], line.split()[-1]
    for dir, _, names in os.walk(path) if path != root + '/srv' else ():
        for f in names:
            print(os.path.relpath(os.path.join(dir, f), root) + '\t' + name + ' ' + versions[name])
print('srv/vendor/bin/acme\tacme/lib ' + versions['acme/lib'])
PY
python3 php.py "$work/php-root" | python3 pack.py php-root "$here/composer.txtar"
