// Generate writes the images of the demo, testdata/demo/images, byte for byte
// the same on every machine:
//
//	go run ./testdata/demo/generate [DIR]
//
// The images are small stand-ins for those of a Node service: real names and
// paths, made-up content that compresses about as well as the real thing.
// "base" is what FROM brings, "main" what the main branch builds, and "pr"
// what a pull request makes of it. It loses the cache mount of npm ci and the
// .dockerignore file, and it adds a chown of everything.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := filepath.Join("testdata", "demo", "images")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for name, image := range demo() {
		if err := image.write(filepath.Join(dir, name)); err != nil {
			fmt.Fprintln(os.Stderr, "generate:", err)
			os.Exit(1)
		}
	}
}

// demo returns the images by the name of their layout.
func demo() map[string]*image {
	base := &image{entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"node"}}
	base.add(`ADD alpine-minirootfs-3.22.2-x86_64.tar.gz / # buildkit`, alpine())
	base.note(`CMD ["/bin/sh"]`)
	base.note(`ENV NODE_VERSION=20.19.5`)
	base.add(`RUN /bin/sh -c addgroup -g 1000 node && adduser -u 1000 -G node -s /bin/sh -D node && tar -xJf node-v20.19.5-linux-x64-musl.tar.xz -C /usr/local --strip-components=1 # buildkit`, nodejs())
	base.add(`COPY docker-entrypoint.sh /usr/local/bin/ # buildkit`, entrypoint())
	base.note(`ENTRYPOINT ["docker-entrypoint.sh"]`)
	base.note(`CMD ["node"]`)

	app, modules, manifests := application(), nodeModules(), packageFiles()

	main := base.clone()
	main.workdir = "/app"
	main.add(`WORKDIR /app`, tree{}.dir("app"))
	main.add(`COPY package*.json ./ # buildkit`, manifests)
	main.add(`RUN /bin/sh -c npm ci --omit=dev # buildkit`, modules)
	main.add(`COPY . . # buildkit`, app)
	main.note(`EXPOSE map[3000/tcp:{}]`)
	main.note(`CMD ["node" "server.js"]`)
	main.cmd, main.port = []string{"node", "server.js"}, "3000/tcp"

	git := gitDirectory()
	pr := base.clone()
	pr.workdir = "/app"
	pr.add(`WORKDIR /app`, tree{}.dir("app"))
	pr.add(`COPY package*.json ./ # buildkit`, manifests)
	pr.add(`RUN /bin/sh -c npm ci --omit=dev # buildkit`, join(modules, npmCache()))
	pr.add(`COPY . . # buildkit`, join(app, git))
	pr.add(`RUN /bin/sh -c chown -R node:node /app # buildkit`, join(manifests, modules, app, git).ownedBy(1000))
	pr.note(`USER node`)
	pr.note(`EXPOSE map[3000/tcp:{}]`)
	pr.note(`CMD ["node" "server.js"]`)
	pr.cmd, pr.port, pr.user = main.cmd, main.port, "node"

	return map[string]*image{"base": base, "main": main, "pr": pr}
}
