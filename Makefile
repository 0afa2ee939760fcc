# The commands of the house. Everything downloaded or built for later runs lies in the cache folder,
# $XDG_CACHE_HOME/conifer or ~/.cache/conifer.
SHELL := /bin/bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/conifer
PROGRAMS := conifer conifer-server conifer-cluster conifer-agent conifer-initrd

.PHONY: demo test check test-slow torture bench-boot bench-service bench-delta bench-update build deps tools clean-cache $(PROGRAMS:%=bin/%)

demo: deps build tools ## the main job: three machines update themselves and back out of two bad releases
	go run ./test/demo -bin bin $(if $(KEEP),-keep)

test: ## all tests, virtual machines included
	./check all

check: ## the quick inner loop: format, vet, and the tests of what needs no machine
	./check

test-slow: ## the long soak: reproducible images, fuzzing of every decoder
	./check slow

torture: ## the service as a program: killed, overloaded, without its database, one of three replicas
	go test -tags torture -count 1 -timeout 20m -v ./test/service

bench-boot: build tools ## CPU seconds from reset to "agent ready", into bench/boot.md
	go run ./bench/boot

bench-service: build ## what the update service costs, into bench/service.md; PEER_URL= measures a Nebraska too
	go run ./bench/service -seconds $(or $(BENCH_SECONDS),20) $(if $(BENCH_TURNS),-turns $(BENCH_TURNS)) $(if $(BENCH_ROWS),-rows $(BENCH_ROWS)) \
	  $(if $(DATABASE),-database '$(DATABASE)' -database-pid $(or $(DATABASE_PID),0)) \
	  $(if $(PEER_URL),-peer '$(PEER_URL)' -peer-pid $(or $(PEER_PID),0) -peer-db-pid $(or $(PEER_DB_PID),0) -peer-machines $(or $(PEER_MACHINES),0))

bench-delta: bin/conifer ## how much an update sends, into bench/delta.md; BENCH_ARCH=arm64 for that machine, ULTRA=1 measures the slowest peer too, OURS=1 our payload
	@./deps $$(sed 's/#.*//' bench/delta/deps)
	go run ./bench/delta $(if $(filter-out amd64,$(BENCH_ARCH)),-arch=$(BENCH_ARCH) -out=bench/delta-$(BENCH_ARCH).md) $(if $(BENCH_PAIRS),-pairs=$(BENCH_PAIRS)) $(if $(BENCH_ROWS),-rows=$(BENCH_ROWS)) \
	  $(if $(ULTRA),-ultra) $(if $(OURS),-ours) $(if $(KEEP),-keep) $(if $(FRESH),-fresh) $(if $(BENCH_FOLDER),-folder=$(BENCH_FOLDER))

bench-update: build tools ## what an update costs the machine that gets it; BENCH_DRIVES='SD card' measures one kind of drive
	go run ./bench/update $(if $(BENCH_DRIVES),-drives='$(BENCH_DRIVES)') $(if $(KEEP),-keep)

build: $(PROGRAMS:%=bin/%) ## the programs, static, into bin/

$(PROGRAMS:%=bin/%): bin/%:
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@ ./cmd/$*

deps: ## Debian packages that building and testing need
	@./deps

tools: deps bin/conifer ## the pinned tools tree: mkosi, QEMU, firmware, boot loader
	@bin/conifer image tools >/dev/null

clean-cache: ## remove everything that later runs would reuse
	rm -rf "$(CACHE)"
