# The README's two commands in a container, from nothing:
#
#   docker build --tag batchprophet .
#   docker run --rm --volume "$PWD:/data" batchprophet demo
#   docker run --rm --entrypoint make batchprophet test
#
# Without arguments it prints the help. Code is compiled while the image is built, so that it is not
# compiled in each container.
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /batchprophet
COPY . .
RUN make demo && rm -rf batchprophet-demo
WORKDIR /data
ENTRYPOINT ["/batchprophet/.venv/bin/batchprophet"]
CMD ["--help"]
