// The text of the shown run as it comes, in numbered messages.

/** What has come of the shown run; shared by all views of one form. */
function makeStream(model) {
  const stream = { run: "", sequence: 0, text: "", line: "", fraction: null };
  return {
    stream,
    /** Take in a message; returns what a view has to do: "append", "replace", "line" or nothing. */
    take(message) {
      if (message.type === "whole") {
        Object.assign(stream, { run: message.run, sequence: message.sequence, text: message.text });
        return "replace";
      }
      if (message.run !== stream.run) return "";
      Object.assign(stream, { line: message.line, fraction: message.fraction });
      if (message.text === undefined) return "line";
      if (message.sequence <= stream.sequence) return "";
      if (message.sequence > stream.sequence + 1) {
        model.send({ type: "sync" }); // one was missed: ask for the whole
        return "";
      }
      stream.sequence = message.sequence;
      stream.text += message.text;
      return "append";
    },
  };
}
