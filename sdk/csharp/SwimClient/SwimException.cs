using System;

namespace VatSim.Swim
{
    /// <summary>What ends a client, or a request. No message ever holds a key.</summary>
    public class SwimException : Exception
    {
        /// <summary>Makes one; the code is a close code or the protocol's error code, or null.</summary>
        public SwimException(string message, string code) : base(message)
        {
            Code = code;
        }

        /// <summary>The close code, or the protocol's error code; null where there is none.</summary>
        public string Code { get; }
    }

    /// <summary>The key was refused for good: a person must act.</summary>
    public sealed class SwimAuthenticationException : SwimException
    {
        internal SwimAuthenticationException(string message, string code) : base(message, code) { }
    }

    /// <summary>The server could not take this client's messages: it would send the same again.</summary>
    public sealed class SwimProtocolException : SwimException
    {
        internal SwimProtocolException(string message, string code) : base(message, code) { }
    }

    /// <summary>The server refused one request; the connection goes on.</summary>
    public sealed class SwimRequestRefusedException : SwimException
    {
        internal SwimRequestRefusedException(string message, string code) : base(message, code) { }
    }

    /// <summary>There is no connection, and nothing will bring what was asked for.</summary>
    public sealed class SwimConnectionLostException : SwimException
    {
        internal SwimConnectionLostException(string message, string code) : base(message, code) { }
    }
}
