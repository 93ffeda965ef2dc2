using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Json;

namespace VatSim.Swim
{
    /// <summary>Reads fields of any data; what is missing or of another kind is null. Numbers may come as text.</summary>
    internal static class Json
    {
        internal static readonly JsonElement Empty = Parse("{}");

        internal static JsonElement Parse(string text)
        {
            // Never disposed of: its memory is the program's as long as an event of it is.
            return JsonDocument.Parse(text).RootElement;
        }

        internal static bool TryGet(JsonElement data, string name, out JsonElement value)
        {
            value = default(JsonElement);
            return data.ValueKind == JsonValueKind.Object && data.TryGetProperty(name, out value);
        }

        internal static string Text(JsonElement data, string name)
        {
            JsonElement value;
            if (!TryGet(data, name, out value)) return null;
            switch (value.ValueKind)
            {
                case JsonValueKind.String: return value.GetString();
                case JsonValueKind.Number:
                case JsonValueKind.True:
                case JsonValueKind.False: return value.GetRawText();
                default: return null;
            }
        }

        /// <summary>A field that must be a string.</summary>
        internal static string String(JsonElement data, string name)
        {
            JsonElement value;
            return TryGet(data, name, out value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }

        internal static string Identifier(JsonElement data, string name)
        {
            return Text(data, name);
        }

        internal static double? Number(JsonElement data, string name)
        {
            JsonElement value;
            double number;
            if (!TryGet(data, name, out value)) return null;
            if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out number)) return number;
            if (value.ValueKind != JsonValueKind.String) return null;
            return double.TryParse(value.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out number)
                && !double.IsNaN(number) && !double.IsInfinity(number) ? number : (double?)null;
        }

        internal static long? Integer(JsonElement data, string name)
        {
            JsonElement value;
            long number;
            if (TryGet(data, name, out value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out number)) return number;
            double? other = Number(data, name);
            return other.HasValue && Math.Abs(other.Value) < 9e15 ? (long)other.Value : (long?)null;
        }

        internal static bool? Bool(JsonElement data, string name)
        {
            JsonElement value;
            if (!TryGet(data, name, out value)) return null;
            return value.ValueKind == JsonValueKind.True ? true : value.ValueKind == JsonValueKind.False ? false : (bool?)null;
        }

        internal static IReadOnlyList<string> Texts(JsonElement data, string name)
        {
            return List(data, name, one => one.ValueKind == JsonValueKind.String ? one.GetString() : one.GetRawText());
        }

        internal static IReadOnlyList<T> List<T>(JsonElement data, string name, Func<JsonElement, T> read)
        {
            var items = new List<T>();
            JsonElement value;
            if (TryGet(data, name, out value) && value.ValueKind == JsonValueKind.Array)
            {
                foreach (JsonElement item in value.EnumerateArray()) items.Add(read(item));
            }
            return items;
        }

        /// <summary>Writes an object.</summary>
        internal static string Object(Action<Utf8JsonWriter> write)
        {
            using (var stream = new MemoryStream())
            {
                using (var writer = new Utf8JsonWriter(stream))
                {
                    writer.WriteStartObject();
                    write(writer);
                    writer.WriteEndObject();
                }
                return Encoding.UTF8.GetString(stream.ToArray());
            }
        }

        internal static void Strings(Utf8JsonWriter writer, string name, IEnumerable<string> values)
        {
            writer.WriteStartArray(name);
            foreach (string value in values) writer.WriteStringValue(value);
            writer.WriteEndArray();
        }
    }
}
